"""NLLB's mixture (arXiv 2207.04672): M2M-100 with experts in every few layers. Source: `NllbMoeConfig` of transformers.

The pass mixes the two experts of a token as the paper and transformers 4 do. transformers 5.23 takes its mask of ones
and zeros for numbers of experts, and uses the first two experts alone.
"""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.common.refusals import not_computed
from weightscope.families.common.sinusoids import sinusoids
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, NAMES, NEEDS, Kind
from weightscope.families.siblings.bart_model import ROOTS, halves_of, whole
from weightscope.families.siblings.nllb_layers import MIXTURE, layers

NLLB_MOE = BART | MIXTURE | {
    "vocab_size": 128112, "activation_function": "relu", "scale_embedding": True, "pad_token_id": Nullable(int, 1),
}  # fmt: skip


@family("nllb-moe", roots=ROOTS, defaults=NLLB_MOE, attribute_map=NAMES, needs=NEEDS)
def nllb_moe(config: Config, root: str) -> EncoderDecoder:
    """A second expert that is drawn by chance is not computed, nor experts that take only so many tokens."""
    kind = Kind(before=True, positions=lambda config: sinusoids(config, config["max_position_embeddings"]))
    if config.task not in ("", "ConditionalGeneration"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    model = whole(
        config,
        halves_of(config, root, kind._replace(layers=layers)),
        start=config["decoder_start_token_id"],
        padding=config["pad_token_id"],
        biased=False,
    )
    said = not_computed(config, "NLLB-MoE", {"second_expert_policy": "all", "router_dtype": "float32"})
    if config["moe_eval_capacity_token_fraction"] < 1:
        said = "NLLB-MoE with experts that take only some tokens (moe_eval_capacity_token_fraction)"
    return replace(model, refused=said or model.refused)
