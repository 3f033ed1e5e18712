"""Quantized weights that no family declares: what their own tensors tell of how many weights they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import msgspec

from weightscope.checkpoint.entry import TensorEntry
from weightscope.quantization.common.marks import ACTIVATIONS, mark_beside, signature_of
from weightscope.quantization.registry import recognize
from weightscope.storage.base import Scheme

# The names under which a module's weight lies where it keeps its own name.
OWN = (".weight", "")


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of a quantized weight: so many `weights` in so many `elements`, none where it is a scale."""

    scheme: Scheme
    weights: int
    elements: int

    @property
    def packing(self) -> tuple[int, int]:
        """Weights and elements of one tensor."""
        return self.weights, self.elements


def packed_weights(
    names: Iterable[str], tensors: Mapping[str, TensorEntry], settings: dict[str, Any] | None
) -> dict[str, Packed]:
    """Of the tensors `names`, those of a quantized weight whose method its module's tensors tell.

    `settings` are those of config.json, which some methods need: MLX's tensors fit several widths.
    """
    modules: dict[str, set[str]] = {}
    for name in names:
        if (found := mark_beside(name, tensors)) and found[1] not in ACTIVATIONS:
            modules.setdefault(found[0], set()).add(found[1])
    known: dict[object, tuple[Scheme, int] | None] = {}
    packed: dict[str, Packed] = {}
    for module, marks in modules.items():
        own = next((mark for mark in OWN if f"{module}{mark}" in tensors), None)
        parts = {mark: tensors[f"{module}{mark}"] for mark in sorted(marks if own is None else {*marks, own})}
        key = tuple((mark, entry.dtype, entry.shape) for mark, entry in parts.items())
        if key not in known:
            told = recognize(signature_of(marks).methods, parts, settings=settings)
            known[key] = (told.scheme, prod(told.shape)) if told else None
        if (answer := known[key]) is None:
            continue
        scheme, weights = answer
        for place, part in enumerate(scheme.parts(f"{module}.weight")):
            if part in tensors:
                elements = prod(tensors[part].shape)
                packed[part] = Packed(scheme=scheme, weights=0 if place else weights, elements=elements)
    return packed
