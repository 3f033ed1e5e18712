"""The language model of Qwen3-VL: Qwen3 with positions in three axes that take turns. Source: `Qwen3VLTextConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, ROTARY, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

QWEN3_VL = DECODER | ROTARY | {
    "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 32), "head_dim": 128, "hidden_act": "silu",
    "max_position_embeddings": 128000, "rms_norm_eps": 1e-6, "attention_bias": False, "rope_theta": 500000.0,
}  # fmt: skip


@family("qwen3_vl_text", roots=("model", "", "model.language_model"), defaults=QWEN3_VL)
def qwen3_vl_text(config: Config, root: str) -> CausalLM:
    """`attention_bias` puts a bias on all four projections."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        norms=head_norms(norm, s.head_dim),
        positions=rotary(config, s.head_dim, sections=(24, 20, 20), alternating=True),
        sees=visible(config),
    )

    def layer(i: int) -> Block:
        del i
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
