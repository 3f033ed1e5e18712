"""Llama and Yi: RMS norms, rotary attention with grouped queries, a gated MLP.

Sources: arXiv 2302.13971; `LlamaConfig` of transformers; 01-ai's `YiConfig`.
"""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

YI = LLAMA | {
    "vocab_size": 64000, "num_key_value_heads": Nullable(int, 4), "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
    "rope_theta": 5000000.0,
}  # fmt: skip
# What a root stands for in Yi: the names of the two norms.
YI_NORMS = {"ln1 and ln2": ("ln1", "ln2"), "as in Llama": ("input_layernorm", "post_attention_layernorm")}


@family("llama", roots=("model", ""), defaults=LLAMA)
def llama(config: Config, root: str) -> CausalLM:
    """Bias on all four projections or none, on all three matrices of the MLP or none; no windows."""
    s, norm, bias = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    mlp = gated_mlp(config, "mlp", bias=config["mlp_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mlp)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


@family("Yi", roots=tuple(YI_NORMS), defaults=YI)
@family("yi", roots=tuple(YI_NORMS), defaults=YI)
def yi(config: Config, root: str) -> CausalLM:
    """The first Yi releases have their own names for the norms; later ones are published as llama."""
    s, norm, (first, second) = Dims.of(config), rms_norms(config["rms_norm_eps"]), YI_NORMS[root]
    block = Block(
        input_norm=norm(first, Role.INPUT_NORM, s.width),
        attention=self_attention(s, four_projections(), positions=rotary(config, s.head_dim)),
        feed_forward_norm=norm(second, Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "mlp"),
    )
    return causal_lm(config, "model", lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
