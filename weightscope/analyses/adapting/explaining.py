"""What one tensor of an adapter does: the weight that it changes, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from weightscope.adapters.registry import Adapter, Held
from weightscope.analyses.adapting.base import BaseWeights
from weightscope.analyses.explaining import Explanation, Neighbour
from weightscope.storage.base import Kind


def with_change(explanation: Explanation, adapter: Adapter, base: BaseWeights | None) -> Explanation:
    """The explanation with what the adapter does; `base` tells the shape and the role of the weight."""
    held = adapter.tensors[explanation.name]
    changes = [change for change in adapter.changes if explanation.name in change.tensors]
    return replace(
        explanation,
        terms=tuple(dict.fromkeys(change.formula for change in changes)),
        beside=_beside(explanation.name, held, adapter),
        notes=(*_notes(held, [change.weight for change in changes], base), *explanation.notes),
    )


def _beside(name: str, held: Held, adapter: Adapter) -> Neighbour | None:
    """The module's other tensors."""
    others = [(n, h) for n, h in adapter.tensors.items() if h.role and h.module == held.module and n != name]
    if not others or not held.role or not held.module:
        return None
    return Neighbour(roles=tuple(str(other.role) for _, other in others), names=tuple(n for n, _ in others))


def _notes(held: Held, weights: list[str], base: BaseWeights | None) -> Iterator[str]:
    for name in dict.fromkeys(weights):
        weight = base.find(name) if base else None
        what = f", {' + '.join(map(str, weight.roles))} {list(weight.shape)} of the base" if weight else ""
        yield f"Changes {name}{what}."
    if held.kind is Kind.COPY:
        yield "A copy of the base's own tensor, which was not trained: it adds no parameters."
