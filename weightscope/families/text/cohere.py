"""Command R (Cohere 2024): attention beside the MLP, after one layer norm. Source: `CohereConfig` of transformers."""

from weightscope.components.attention import NO_NORMS, HeadNorms
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.norm import LayerNorm
from weightscope.config import Config
from weightscope.families.common import COHERE, Dims, Output, causal_lm, layer_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role


@family("cohere", roots=("model", ""), defaults=COHERE)
def cohere(config: Config, root: str) -> CausalLM:
    """`use_qk_norm` puts a norm of its own on each head's query and key; no norm has a bias."""
    s, eps, bias = Dims.of(config), config["layer_norm_eps"], config["attention_bias"]
    norm = layer_norms(eps, bias=False, wide=3)
    q, k = (
        LayerNorm(name=name, role=role, size=s.head_dim, eps=eps, bias=False, heads=count, wide=3)
        for name, role, count in (("q_norm", Role.Q_NORM, s.heads.count), ("k_norm", Role.K_NORM, s.heads.keys))
    )
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=HeadNorms(query=q, key=k) if config["use_qk_norm"] else NO_NORMS,
            positions=rotary(config, s.head_dim, interleaved=True, steps="converted"),
            sees=visible(config),
        ),
        feed_forward_norm=None,
        feed_forward=gated_mlp(config, "mlp"),
        parallel=True,
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(scale=float(config["logit_scale"])),
    )
