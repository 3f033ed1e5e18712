"""From a model to its figures: every tensor looked at once, put together by role and layer, and judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from threading import Event

import msgspec

from weightscope.analyses.inventory import Inventory
from weightscope.analyses.stats.figures import together
from weightscope.analyses.stats.gathering import gather
from weightscope.analyses.stats.looked import Looked
from weightscope.analyses.stats.repeats import find_repeats
from weightscope.analyses.stats.result import LayerStats, RoleStats, Stats, TensorStats
from weightscope.analyses.stats.sources import sources_of
from weightscope.analyses.stats.spectrum import Spectrum, has_spectrum, is_too_large, spectra
from weightscope.analyses.stats.standing_out import odd, unsound
from weightscope.checkpoint.array_types import need_torch
from weightscope.checkpoint.entry import require_here
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.unchanged import unchanged
from weightscope.errors import NotImplementedByWeightscope, UsageError, printable_path
from weightscope.families.declaration import Declaration
from weightscope.findings import passes


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How to look: at what is `stored` rather than at what it acts as; at a `sample` of so many values a tensor; at the
    `spectrum` of each matrix too.
    """

    stored: bool = False
    sample: int | None = None
    spectrum: bool = False


def take_stats(
    reference: str,
    checkpoint: Checkpoint,
    inventory: Inventory,
    declaration: Declaration | None,
    asked: Asked,
    *,
    progress: Progress | None = None,
    stop: Event | None = None,
) -> Stats:
    """The figures of all tensors; those that are known when `stop` is set.

    Raises:
        UsageError: there are no weights; a spectrum of a sample was asked for.
        CheckpointError: a file changed while it was read.
        WeightscopeError: a file is not here; quantized weights cannot be dequantized, or not without torch.
    """
    if not checkpoint.files:
        raise UsageError("stats needs weights, and there are none here", where=reference)
    if asked.spectrum and asked.sample is not None:
        raise UsageError("a spectrum needs all values, not a sample", hint="leave out --sample or --spectrum")
    require_here(*(file.out_of_reach for file in checkpoint.files))
    known = sources_of(checkpoint, inventory, declaration, stored=asked.stored)
    if any(item.source.scheme for item in known):
        need_torch(", or use stats --stored to look at quantized weights as they are stored")
    sources = [item.source for item in known]
    stop = stop or Event()
    with unchanged(checkpoint):
        found = gather(checkpoint, sources, sample=asked.sample, progress=progress, stop=stop)
        try:
            # An interrupted run gives fewer.
            seen = [Looked.of(item, one) for item, one in zip(known, found, strict=False)]
        except NotImplementedByWeightscope as error:
            hint = "stats --stored looks at quantized weights as they are stored"
            raise NotImplementedByWeightscope(error.what, where=error.where, hint=hint) from None
        complete = len(seen) == len(known)
        repeats = find_repeats(checkpoint, seen) if complete and asked.sample is None else ()
        matrices = [one for one in seen if has_spectrum(one)] if asked.spectrum else []
        feasible = [one for one in matrices if not is_too_large(one)]
        known_spectra = spectra(checkpoint, feasible, progress, stop)
    complete = complete and len(known_spectra) == len(feasible)
    findings = (*unsound(seen), *odd(seen, repeats))
    return Stats(
        ok=complete and passes(findings, "error"),
        complete=complete,
        stored=asked.stored,
        sample=asked.sample,
        reference=printable_path(reference),
        bytes=sum(one.known.source.bytes for one in seen),
        tensors=tuple(_row(one, known_spectra.get(one.name)) for one in seen if not one.error),
        roles=tuple(_roles(seen)),
        layers=tuple(_layers(seen)),
        duplicates=repeats,
        too_large=tuple(one.name for one in matrices if is_too_large(one)) if asked.spectrum else None,
        findings=findings,
    )


def _row(one: Looked, spectrum: Spectrum | None) -> TensorStats:
    known, group = one.known, one.known.group
    return TensorStats(
        name=one.name,
        component=str(group.section),
        roles=tuple(map(str, group.roles)),
        kind=str(group.kind),
        dtype=known.source.entry.dtype,
        quantization=known.source.scheme.words if known.source.scheme else None,
        shape=one.shape,
        stack=known.stack,
        layer=known.layer,
        figures=one.figures,
        zeros=one.zeros,
        spectrum=spectrum,
    )


def _roles(seen: Iterable[Looked]) -> Iterator[RoleStats]:
    """In the order of the forward pass, as far as it is known."""
    kin: dict[tuple[str, tuple[str, ...], str, str | None], list[Looked]] = {}
    for one in sorted(seen, key=lambda one: one.known.order):
        group = one.known.group
        key = (str(group.section), tuple(map(str, group.roles)), str(group.kind), one.known.stack)
        kin.setdefault(key, []).append(one)
    for (component, roles, kind, stack), members in kin.items():
        yield RoleStats(
            component=component,
            roles=roles,
            kind=kind,
            stack=stack,
            tensors=len(members),
            figures=together(one.sums for one in members),
            rms=tuple(together(one.sums for one in of_layer).rms for _, of_layer in _by_layer(members)),
        )


def _layers(seen: Iterable[Looked]) -> Iterator[LayerStats]:
    stacks: dict[str, list[Looked]] = {}
    for one in seen:
        if one.known.is_weight and one.known.stack is not None:
            stacks.setdefault(one.known.stack, []).append(one)
    for stack, members in stacks.items():
        for layer, of_layer in _by_layer(members):
            figures = together(one.sums for one in of_layer)
            yield LayerStats(stack=stack, layer=layer, tensors=len(of_layer), figures=figures)


def _by_layer(members: Sequence[Looked]) -> list[tuple[int, list[Looked]]]:
    layers: dict[int, list[Looked]] = {}
    for one in members:
        if one.known.layer is not None:
            layers.setdefault(one.known.layer, []).append(one)
    return sorted(layers.items())
