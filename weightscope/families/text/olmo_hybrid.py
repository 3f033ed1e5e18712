"""OLMo Hybrid (Ai2 2026): gated delta nets, and attention in every fourth layer. Source: `OlmoHybridConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, visible
from weightscope.families.common.layer_types import FULL, LINEAR, MIXERS, layer_types
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.olmo import post_norm_block
from weightscope.families.siblings.olmo_hybrid import ROOTS, delta_net, rotation
from weightscope.roles import Role

OLMO_HYBRID = LLAMA | {
    "vocab_size": 100352, "hidden_size": 3840, "num_attention_heads": 30, "max_position_embeddings": 65536,
    "rope_theta": Nullable(float, 10000.0), "layer_types": Nullable(list), "linear_num_key_heads": Nullable(int),
    "linear_num_value_heads": Nullable(int), "linear_key_head_dim": Nullable(int),
    "linear_value_head_dim": Nullable(int), "linear_conv_kernel_dim": 4, "linear_allow_neg_eigval": True,
}  # fmt: skip


@family("olmo_hybrid", roots=tuple(ROOTS), defaults=OLMO_HYBRID)
def olmo_hybrid(config: Config, root: str) -> CausalLM:
    """Published without a rotation (`rope_theta` is null). Delta nets are normed before, attention after."""
    s, norm, spelling = Dims.of(config), rms_norms(config["rms_norm_eps"]), ROOTS[root]
    kinds = layer_types(config, lambda i: FULL if (i + 1) % 4 == 0 else LINEAR, known=MIXERS)
    if config["layer_types"] is None and FULL not in kinds:
        kinds[-1:] = [FULL]
    first, second = spelling.norms
    delta = Block(
        input_norm=norm(first, Role.INPUT_NORM, s.width),
        attention=delta_net(config, spelling.kernels),
        feed_forward_norm=norm(second, Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "mlp"),
    )
    attention = post_norm_block(
        config, s, positions=rotation(config, s), sees=visible(config), attended=spelling.attended
    )
    return causal_lm(
        config,
        spelling.prefix,
        lambda i: delta if kinds[i] == LINEAR else attention,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
    )
