"""OLMo 2 (arXiv 2501.00656) and 3: norms after each half. Sources: `Olmo2Config`, `Olmo3Config` of transformers."""

from weightscope.components.attention import WholeNorms
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

OLMO2 = LLAMA | {"vocab_size": 50304, "rms_norm_eps": 1e-5}
THETA = 500000.0
OLMO3 = OLMO2 | {"sliding_window": Nullable(int, 4096), "layer_types": Nullable(list), "rope_theta": THETA}


@family("olmo2", roots=("model", ""), defaults=OLMO2)
def olmo2(config: Config, root: str) -> CausalLM:
    """Norms after each half and none before; all queries together are normed, and all keys."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    block = post_norm_block(config, s, slides=False)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


@family("olmo3", roots=("model", ""), defaults=OLMO3)
def olmo3(config: Config, root: str) -> CausalLM:
    """Three layers with a window, then one without, which alone has a scaled rotation."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    kinds = layer_types(config, lambda i: SLIDING if (i + 1) % 4 else FULL)

    def layer(i: int) -> Block:
        return post_norm_block(config, s, slides=kinds[i] == SLIDING, kind=kinds[i])

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))


def post_norm_block(config: Config, s: Dims, *, slides: bool, kind: str | None = None) -> Block:
    """X + norm(attention(x)), then x + norm(mlp(x)); `kind` is the layer's where kinds differ in their rotation."""
    norm, bias = rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    return Block(
        input_norm=None,
        attention=self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=WholeNorms(query=norm("q_norm", Role.Q_NORM, s.queries), key=norm("k_norm", Role.K_NORM, s.keys)),
            # The class gives `rope_theta` to full_attention alone.
            positions=rotary(config, s.head_dim, layers=kind, theta=THETA if kind == SLIDING else None),
            sees=visible(config, config["sliding_window"] if slides else None),
        ),
        attention_out_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward_norm=None,
        feed_forward=gated_mlp(config, "mlp"),
        feed_forward_out_norm=norm("post_feedforward_layernorm", Role.POST_FEEDFORWARD_NORM, s.width),
    )
