"""MiniMax-Text-01 (arXiv 2501.08313): lightning attention and softmax attention in turns. Source: `MiniMaxConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, causal_lm, rms_norms, rotary
from weightscope.families.common.dims import Dims
from weightscope.families.common.layer_types import FULL, LINEAR, MIXERS, layer_types
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.numbers import number
from weightscope.families.registry import family
from weightscope.families.siblings.minimax import minimax_layers
from weightscope.roles import Role

PARTS = {FULL: "full_attn", LINEAR: "linear_attn", "mlp": "mlp"}
MINIMAX = ROTARY | {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int), "hidden_act": "silu",
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "sliding_window": Nullable(int),
    "num_experts_per_tok": 2, "num_local_experts": 8, "block_size": 256, "layer_types": Nullable(list),
    **{f"{part}_{factor}_factor": 1.0 for part in PARTS.values() for factor in ("alpha", "beta")},
}  # fmt: skip


@family("minimax", roots=ROOTS, defaults=MINIMAX, attribute_map={"num_experts": "num_local_experts"})
def minimax(config: Config, root: str) -> CausalLM:
    """Every other layer from the first has softmax attention, unless `layer_types` says otherwise."""
    s, (prefix, stacked) = Dims.of(config), spelling(root)
    factors = {
        kind: (number(config, f"{part}_alpha_factor"), number(config, f"{part}_beta_factor"))
        for kind, part in PARTS.items()
    }
    kinds = layer_types(config, lambda i: LINEAR if i % 2 else FULL, known=MIXERS)
    rope = rotary(config, s.head_dim)
    layer = minimax_layers(config, kinds, factors, rope, chunk=config["block_size"], stacked=stacked)
    norm = rms_norms(config["rms_norm_eps"])
    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
