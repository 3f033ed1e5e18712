"""InternLM 3 (Shanghai AI Laboratory 2025): Llama under other names for its biases. Source: `InternLM3Config`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

INTERNLM3 = LLAMA | {
    "vocab_size": 128512, "intermediate_size": 10240, "num_hidden_layers": 48, "num_key_value_heads": Nullable(int, 2),
    "head_dim": Nullable(int, 128), "rms_norm_eps": 1e-5, "max_position_embeddings": 32768,
}  # fmt: skip


@family(
    "internlm3",
    roots=("model", ""),
    defaults=INTERNLM3,
    attribute_map={"qkv_bias": "attention_bias", "bias": "mlp_bias"},
)
def internlm3(config: Config, root: str) -> CausalLM:
    """`qkv_bias` is for queries, keys and values, `bias` for all other matrices."""
    s, norm = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["attention_bias"], o_bias=config["mlp_bias"]),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    feed_forward = gated_mlp(config, "mlp", bias=config["mlp_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
