"""The findings that values give, each made in one place for `stats` and for `check --values`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weightscope.analyses.rules.subject import listed, some
from weightscope.errors import CheckpointError
from weightscope.findings import Finding
from weightscope.ranges import summed


def unreadable(errors: Iterable[tuple[str, CheckpointError]]) -> Iterator[Finding]:
    """Tensors that could not be read; of a file that ends too early, every later tensor would say the same."""
    said: set[tuple[str | None, str | None]] = set()
    for name, error in errors:
        if (error.where, error.code) not in said:
            said.add((error.where, error.code))
            yield msgspec.structs.replace(Finding.of(error), tensors=(name,))


def non_finite(names: Iterable[str]) -> Iterator[Finding]:
    """Tensors with NaN or infinity."""
    for title in summed(names):
        yield Finding(
            code="non-finite",
            severity="error",
            message=f"{title} contains NaN or infinity",
            tensors=(title,),
            hint="the model's outputs are NaN; training diverged, or a conversion overflowed",
        )


def all_zero(names: Sequence[str]) -> Iterator[Finding]:
    """Matrices of zeros."""
    if names:
        titles = summed(names)
        yield Finding(
            code="all-zero",
            severity="warning",
            message=f"{some(names)} with only zeros: {listed(titles)}",
            tensors=tuple(titles),
            hint="never initialized, pruned entirely, or left by a download that did not finish",
        )


def dead_parts(name: str, what: str, numbers: Sequence[int]) -> Finding:
    """Experts or heads of one matrix of which all values are zero."""
    which = ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")
    return Finding(
        code="all-zero",
        severity="warning",
        message=f"{name} has only zeros for {some(numbers, what)}: {which}",
        tensors=(name,),
        hint="pruned on purpose, or lost in a conversion: they add nothing to the output",
    )


def constant(name: str, value: float | None) -> Finding:
    """A matrix of one number."""
    return Finding(
        code="constant-tensor",
        severity="warning",
        message=f"{name} has the same value everywhere: {value:.6g}",
        tensors=(name,),
        hint="a trained matrix never has; restore it from where the model comes from",
    )


def odd_size(stack: str, layer: int, names: Sequence[str], ratio: float, *, larger: bool) -> Finding:
    """Matrices of one layer that are far larger or smaller than in the layers around."""
    titles = summed(names)
    return Finding(
        code="value-outlier",
        severity="warning",
        message=f"layer {layer} of {stack}: {listed(titles)} {'are' if len(names) > 1 else 'is'} {ratio:.3g} times "
        f"{'larger' if larger else 'smaller'} than in the layers around (root mean square)",
        tensors=tuple(titles),
        hint="a scale was applied twice or not at all, or this layer comes from another model",
    )


def copied(stack: str, layer: int, earlier: int) -> Finding:
    """A layer that is another one again."""
    return Finding(
        code="value-outlier",
        severity="warning",
        message=f"layer {layer} of {stack} is a copy of layer {earlier}: all of its weights have the same values",
        tensors=(f"{stack}.{layer}",),
        hint="meant so in a model made deeper by repeating layers; otherwise a conversion read one layer twice",
    )
