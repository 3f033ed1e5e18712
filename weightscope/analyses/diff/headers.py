"""What headers and configs tell of two models: weights of one alone, other shapes and dtypes, keys that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from weightscope.analyses.diff.result import ConfigChange, Reshaped, Retyped
from weightscope.analyses.held.alike import same
from weightscope.analyses.held.holdings import Held
from weightscope.quantization.common.marks import mark_of
from weightscope.ranges import summed

Weights = Mapping[str, Held]
# Roles of which rows stand for tokens.
VOCABULARY = ("token_embedding", "lm_head")


def config_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[ConfigChange]:
    """Keys that mean something else; of two model types, those that both have."""
    same_type = a.get("model_type") == b.get("model_type")
    for key in sorted({*a, *b} if same_type else {*a} & {*b}):
        if not same(a.get(key), b.get(key)):
            yield ConfigChange(key=key, a=a.get(key), b=b.get(key))


def comparable(a: Weights, b: Weights) -> tuple[Weights, Weights]:
    """Both without scales of activations where a module's weight is quantized in one model alone, or otherwise."""
    methods = [{held.before: held.dtype for held in weights.values() if held.is_quantized} for weights in (a, b)]

    def is_comparable(held: Held) -> bool:
        marked = mark_of(held.names[0]) if held.is_activation_scale else None
        weight = f"{marked[0]}.weight" if marked else ""
        return methods[0].get(weight) == methods[1].get(weight)

    left, right = ({address: held for address, held in one.items() if is_comparable(held)} for one in (a, b))
    return left, right


def reshaped(a: Weights, b: Weights) -> Iterator[Reshaped]:
    """Weights of both with another shape."""
    for address, held in a.items():
        other = b.get(address)
        if other is None or held.shape == other.shape:
            continue
        by_rows = held.role in VOCABULARY and len(held.shape) > 0 and held.shape[1:] == other.shape[1:]
        added = other.shape[0] - held.shape[0] if by_rows else None
        yield Reshaped(address=address, a=held.shape, b=other.shape, rows_added=added)


def retyped(a: Weights, b: Weights) -> Iterator[Retyped]:
    """Weights of both in another dtype, those with the same change together."""
    changes: dict[tuple[str, str], list[str]] = {}
    for address, held in a.items():
        other = b.get(address)
        if other is not None and held.dtype != other.dtype and held.dtype and other.dtype:
            changes.setdefault((held.dtype, other.dtype), []).append(address)
    for (before, after), addresses in changes.items():
        yield Retyped(a=before, b=after, weights=len(addresses), titles=tuple(map(str, summed(addresses))))


def renamed(a: Weights, b: Weights) -> int:
    """How many weights of both lie in tensors of other names."""
    return sum(held.names[0] != b[address].names[0] for address, held in a.items() if address in b)


def precision_of(weights: Weights) -> str:
    """The dtype of most elements, or how they are quantized; empty where only a config is there."""
    from math import prod

    counts: Counter[str] = Counter()
    for held in weights.values():
        counts[held.dtype] += prod(held.shape)
    return counts.most_common(1)[0][0] if counts else ""
