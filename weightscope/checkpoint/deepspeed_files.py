"""The files of a DeepSpeed checkpoint by what each holds, as their names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

# Of a rank: its module, or its optimizer's state. `model` is the rank among those that split the model.
_RANK = re.compile(
    r"(?:\w*?zero_pp_rank_(?P<rank>\d{1,6})_|(?P<expert>expp_rank_\d{1,6}_))?"
    r"mp_rank_(?P<model>\d{1,6})_?(?P<what>model|optim)_states\.pt"
)
# A layer of a pipeline, and a tensor-parallel rank's part of it.
_LAYER = re.compile(r"layer_(?P<layer>\d{1,6})(?:-model_(?P<model>\d{1,6}))?-model_states\.pt")
# One expert of a mixture of DeepSpeed-MoE; the oldest do not name the layer.
_EXPERT = re.compile(r"(?:layer_\d{1,6}_)?expert_\d{1,6}_mp_rank_(?P<model>\d{1,6})_model_states\.pt")


def is_part(name: str) -> bool:
    """Whether a file of that name is part of a checkpoint."""
    return any(pattern.fullmatch(name) for pattern in (_RANK, _LAYER, _EXPERT))


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Names of files by the rank among those that split the model; data-parallel ranks in order.

    `layers` are those of a pipeline by number, then by tensor-parallel rank. `others` are states of optimizers that
    hold no weights.
    """

    models: dict[int, list[str]]
    optimizers: dict[int, dict[int, str]]
    layers: dict[int, dict[int, str]]
    experts: dict[int, list[str]]
    others: list[str]


def sorted_files(names: Iterable[str]) -> Files:
    """The files of these names."""
    models: dict[int, dict[int, str]] = {}
    optimizers: dict[int, dict[int, str]] = {}
    layers: dict[int, dict[int, str]] = {}
    experts: dict[int, list[str]] = {}
    others: list[str] = []
    for name in sorted(names):
        if match := _RANK.fullmatch(name):
            model, rank = int(match["model"]), int(match["rank"] or 0)
            if match["expert"]:
                others.append(name)
            else:
                kind = models if match["what"] == "model" else optimizers
                kind.setdefault(model, {})[rank] = name
        elif match := _LAYER.fullmatch(name):
            layers.setdefault(int(match["layer"]), {})[int(match["model"] or 0)] = name
        elif match := _EXPERT.fullmatch(name):
            experts.setdefault(int(match["model"]), []).append(name)
    return Files(
        models={model: [*found.values()] for model, found in _by_number(models).items()},
        optimizers=_by_number(optimizers),
        layers=_by_number(layers),
        experts=experts,
        others=others,
    )


def _by_number(names: dict[int, dict[int, str]]) -> dict[int, dict[int, str]]:
    return {number: dict(sorted(found.items())) for number, found in sorted(names.items())}
