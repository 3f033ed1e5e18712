"""The language models of GLM-4.1V and GLM-OCR: GLM-4 with positions in three axes.

Sources: `Glm4vTextConfig` and `GlmOcrTextConfig` of transformers.
"""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, fused_gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

GLM4V = ROTARY | {
    "vocab_size": 151552, "hidden_size": 4096, "intermediate_size": 13696, "num_hidden_layers": 40,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 2), "hidden_act": "silu",
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "partial_rotary_factor": Nullable(float),
}  # fmt: skip
OCR = GLM4V | {
    "vocab_size": 59392, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 16,
    "num_attention_heads": 16, "num_key_value_heads": Nullable(int, 8), "max_position_embeddings": 131072,
    # No field of the class, but its attention asks the config for it.
    "head_dim": Nullable(int),
}  # fmt: skip
ROOTS = ("model", "", "model.language_model")


@family("glm4v_text", roots=ROOTS, defaults=GLM4V)
def glm4v_text(config: Config, root: str) -> CausalLM:
    """Neighbours turn; queries, keys and values have a bias."""
    return decoder(config, root, bias=True)


@family("glm_ocr_text", roots=ROOTS, defaults=OCR)
def glm_ocr_text(config: Config, root: str) -> CausalLM:
    """No biases."""
    return decoder(config, root, bias=False)


def decoder(config: Config, root: str, *, bias: bool) -> CausalLM:
    """Norms before and after each half; `post_attention_layernorm` is the one before the MLP."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rope = rotary(config, s.head_dim, interleaved=True, sections=(8, 12, 12))
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=self_attention(s, four_projections(qkv_bias=bias), positions=rope, sees=visible(config)),
        attention_out_norm=norm("post_self_attn_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward_norm=norm("post_attention_layernorm", Role.PRE_FEEDFORWARD_NORM, s.width),
        feed_forward=fused_gated_mlp(config, "mlp"),
        feed_forward_out_norm=norm("post_mlp_layernorm", Role.POST_FEEDFORWARD_NORM, s.width),
    )
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
