"""MiniMax-M1 (arXiv 2506.13585) and Text-01 as MiniMax published them: the maths of `minimax` by other keys.

Source: the config.json of MiniMaxAI/MiniMax-M1-80k.
"""

from msgspec.structs import replace

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, rms_norms, rotary
from weightscope.families.common.layer_types import FULL, LINEAR
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.numbers import number
from weightscope.families.common.refusals import not_computed, refuse
from weightscope.families.registry import DECODER_NEEDS, family
from weightscope.families.siblings.minimax import attention_kinds, minimax_layers, uneven_heads
from weightscope.roles import Role

PARTS = {FULL: "full_attention", LINEAR: "linear_attention", "mlp": "mlp"}
MINIMAX_M1 = ROTARY | {
    "vocab_size": 200064, "hidden_size": 6144, "intermediate_size": 9216, "num_hidden_layers": 80,
    "num_attention_heads": 64, "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int), "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "rope_theta": 10000000.0, "rotary_dim": Nullable(int), "sliding_window": Nullable(int),
    "num_experts_per_tok": 2, "num_local_experts": 32, "attn_type_list": Nullable(list),
    "shared_intermediate_size": Nullable(int), "postnorm": False,
    **{f"layernorm_{part}_{factor}": 1.0 for part in PARTS.values() for factor in ("alpha", "beta")},
}  # fmt: skip


@family("minimax_m1", roots=ROOTS, defaults=MINIMAX_M1, needs=(*DECODER_NEEDS, "attn_type_list"))
@family("minimax_text_01", roots=ROOTS, defaults=MINIMAX_M1, needs=(*DECODER_NEEDS, "attn_type_list"))
def minimax_m1(config: Config, root: str) -> CausalLM:
    """Released models have softmax attention in each eighth layer, and half of each head turns."""
    refuse(config, "MiniMax-M1", ["shared_intermediate_size"])
    s, (prefix, stacked), rotated = Dims.of(config), spelling(root), config["rotary_dim"]
    factors = {
        kind: (number(config, f"layernorm_{part}_alpha"), number(config, f"layernorm_{part}_beta"))
        for kind, part in PARTS.items()
    }
    rope = rotary(config, s.head_dim)
    rope = rope if rotated is None else replace(rope, dim=int(rotated))
    layer = minimax_layers(config, attention_kinds(config), factors, rope, chunk=None, stacked=stacked)
    return causal_lm(
        config,
        prefix,
        layer,
        final_norm=rms_norms(config["rms_norm_eps"])("norm", Role.FINAL_NORM, s.width),
        refused=uneven_heads(config) or not_computed(config, "MiniMax-M1", {"postnorm": True}),
    )
