"""Persimmon (Adept): fused projections with norms of each head, relu². Source: `PersimmonConfig` of transformers."""

from weightscope.components.attention import NO_NORMS, Attention, Heads
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import causal_lm, layer_norms, rotary, visible
from weightscope.families.common.parts import head_norms, mlp
from weightscope.families.registry import family
from weightscope.families.siblings.persimmon import PERSIMMON
from weightscope.roles import Role
from weightscope.storage.linear import Linear


@family("persimmon", roots=("model", ""), defaults=PERSIMMON)
def persimmon(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` are, head by head, its query, key and value."""
    width, count, norm = config["hidden_size"], config["num_attention_heads"], layer_norms(config["layer_norm_eps"])
    size, names = width // count, ("q_layernorm", "k_layernorm")
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=Attention(
            name="self_attn",
            projections=(
                Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True, groups=count),
                Linear("dense", Role.O_PROJ, bias=True),
            ),
            width=width,
            heads=Heads(count=count, keys=count, size=size, even=True),
            norms=head_norms(norm, size, names) if config["qk_layernorm"] else NO_NORMS,
            positions=rotary(config, size, steps="apart"),
            sees=visible(config),
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp(
            width,
            config["intermediate_size"],
            config["hidden_act"],
            names=("dense_h_to_4h", "dense_4h_to_h"),
            bias=True,
        ),
    )
    return causal_lm(config, root, lambda _: block, final_norm=norm("final_layernorm", Role.FINAL_NORM, width))
