"""ERNIE 4.5, the dense ones (Baidu 2025): Llama that rotates neighbours. Source: `Ernie4_5Config` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

ERNIE4_5 = LLAMA | {
    "vocab_size": 103424, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 18,
    "num_attention_heads": 16, "num_key_value_heads": Nullable(int, 2), "head_dim": Nullable(int, 128),
    "rms_norm_eps": 1e-5, "max_position_embeddings": 131072, "rope_theta": 500000.0, "tie_word_embeddings": True,
    "use_bias": False,
}  # fmt: skip


@family("ernie4_5", roots=("model", ""), defaults=ERNIE4_5)
def ernie4_5(config: Config, root: str) -> CausalLM:
    """`use_bias` is for all matrices."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["use_bias"], o_bias=config["use_bias"]),
        positions=rotary(config, s.head_dim, interleaved=True, steps="float32"),
        sees=visible(config),
    )
    feed_forward = gated_mlp(config, "mlp", bias=config["use_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
