"""GLM-4 (arXiv 2406.12793) and GLM-4-0414. Sources: `GlmConfig`, `Glm4Config` of transformers."""

from weightscope.components.attention import Attention
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, fused_gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

GLM = LLAMA | {
    "vocab_size": 151552, "intermediate_size": 13696, "num_hidden_layers": 40, "num_key_value_heads": Nullable(int, 2),
    "head_dim": Nullable(int, 128), "rms_norm_eps": 1.5625e-07, "max_position_embeddings": 131072,
    "attention_bias": True, "partial_rotary_factor": 0.5,
}  # fmt: skip


@family("glm", roots=("model", ""), defaults=GLM)
def glm(config: Config, root: str) -> CausalLM:
    """Neighbours in the first half of a head are rotated; queries, keys and values have a bias."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    block = pre_norm_block(norm, s.width, attention=attention(config, s), feed_forward=fused_gated_mlp(config, "mlp"))
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


@family("glm4", roots=("model", ""), defaults=GLM)
def glm4(config: Config, root: str) -> CausalLM:
    """Norms after each half as well; `post_attention_layernorm` is the one before the MLP."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=attention(config, s),
        attention_out_norm=norm("post_self_attn_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward_norm=norm("post_attention_layernorm", Role.PRE_FEEDFORWARD_NORM, s.width),
        feed_forward=fused_gated_mlp(config, "mlp"),
        feed_forward_out_norm=norm("post_mlp_layernorm", Role.POST_FEEDFORWARD_NORM, s.width),
    )
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


def attention(config: Config, s: Dims) -> Attention:
    """`attention_bias` is for queries, keys and values alone."""
    projections = four_projections(qkv_bias=config["attention_bias"])
    rope = rotary(config, s.head_dim, interleaved=True)
    return self_attention(s, projections, positions=rope, sees=visible(config))
