"""The experts of a mixture that Megatron-LM spreads over expert-parallel ranks, numbered on to one model.

Each rank numbers its own experts from 0, and all ranks have the same number of them. What is no expert's is in the
files of all ranks. Source: Megatron-LM `megatron/core/transformer/moe/experts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.megatron_names import CONVERT
from weightscope.errors import NotImplementedByWeightscope, Where

Tensors = dict[str, TensorEntry]

# Experts of their own modules, and those of Transformer Engine's grouped matrices.
_NUMBERED = re.compile(
    r"(?P<before>(?:.*\.)?experts\.(?:local_experts\.|linear_fc[12]\.(?:weight|bias)))(?P<number>\d{1,6})(?P<after>.*)"
)
_FUSED = re.compile(r"(?:.*\.)?experts\.weight[12]")


def joined_experts(ranks: Sequence[Tensors], where: Where) -> Tensors:
    """The tensors of one chunk of the model, from those of its expert-parallel ranks in order.

    Raises:
        NotImplementedByWeightscope: each rank has its experts in one matrix.
    """
    first = ranks[0]
    if len(ranks) == 1:
        return first
    if fused := next(filter(_FUSED.fullmatch, first), None):
        raise NotImplementedByWeightscope(
            f"{fused[:200]} is several experts in one matrix, split over ranks, which weightscope does not join",
            where=where,
            hint=CONVERT,
        )
    counts = _counts(first)
    found: Tensors = {}
    for rank, tensors in enumerate(ranks):
        for name, entry in tensors.items():
            match = _NUMBERED.fullmatch(name)
            if match is None:
                found.setdefault(name, entry)
            else:
                number = rank * counts.get(_stem(match), 0) + int(match["number"])
                found[f"{match['before']}{number}{match['after']}"] = entry
    return found


def _counts(tensors: Mapping[str, TensorEntry]) -> dict[str, int]:
    """How many experts a rank has of each kind of tensor."""
    counts: dict[str, int] = {}
    for match in filter(None, map(_NUMBERED.fullmatch, tensors)):
        counts[_stem(match)] = max(counts.get(_stem(match), 0), int(match["number"]) + 1)
    return counts


def _stem(match: re.Match[str]) -> str:
    return f"{match['before']}{{}}{match['after']}"
