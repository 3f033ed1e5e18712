"""K-EXAONE: EXAONE 4's attention over DeepSeek-V3's mixture. Source: `ExaoneMoeConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.latent import grouped_sigmoid, sparse_layers
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts, with_mixture
from weightscope.families.common.parts import gated_mlp, pattern
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family

EXAONE_MOE = LLAMA | {
    "vocab_size": 102400,
    "intermediate_size": 16384,
    "num_key_value_heads": Nullable(int, 32),
    "rms_norm_eps": 1e-5,
    "sliding_window": Nullable(int, 4096),
    "sliding_window_pattern": Nullable(int, 4),
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 1024,
    "num_experts": 64,
    "num_experts_per_tok": 8,
    "num_shared_experts": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "n_group": Nullable(int, 1),
    "topk_group": Nullable(int, 1),
}


@family("exaone_moe", roots=ROOTS, defaults=EXAONE_MOE)
def exaone_moe(config: Config, root: str) -> CausalLM:
    """Layers that see everything turn nothing by position, where others have a window."""
    prefix, stacked = spelling(root)
    rope, window = rotary(config, config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]), None
    window = config["sliding_window"]
    model = decoder(
        config,
        prefix,
        head_norms=True,
        slides=pattern(config, 4),
        ropes=lambda _, seen: rope if seen or window is None else None,
    )
    inner, shared = config["moe_intermediate_size"], config["num_shared_experts"]
    experts, chosen = config["num_experts"], config["num_experts_per_tok"]
    expert = gated_mlp(config, "", inner=inner)
    mixture = MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        routing=grouped_sigmoid(config),
        shared=gated_mlp(config, "shared_experts", inner=inner * shared),
        correction="gate.e_score_correction_bias" if stacked else "e_score_correction_bias",
        stacked=stacked_experts(expert, experts, chosen) if stacked else None,
    )
    return with_mixture(model, sparse_layers(config), mixture)
