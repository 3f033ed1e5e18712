"""The document of `weightscope stats`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from weightscope.analyses.stats.figures import LOWEST, Figures
from weightscope.analyses.stats.result import Baseline, LayerStats, RoleStats, Stats, TensorStats
from weightscope.analyses.stats.untrained import untrained
from weightscope.output import words
from weightscope.output.columns import TENSORS
from weightscope.output.document import Cell, Column, Document, Table
from weightscope.output.sparkline import BLOCKS, sparkline
from weightscope.output.spectrum import TITLES, spectrum_cells, spectrum_columns, spectrum_notes, spectrum_record

By = Literal["role", "layer", "tensor"]
NUMBERS = tuple(Column(title=title, kind="number") for title in ("Mean", "Std", "Largest"))
ZEROS, BROKEN = Column(title="Zeros", kind="share"), Column(title="NaN/Inf", kind="count")
MAGNITUDES, LAYERS = Column(title="Magnitudes"), Column(title="RMS by layer")
# Of tensors that drifted, so many are shown.
SHOWN = 10


def stats_document(stats: Stats, by: By = "role") -> Document:
    """Figures by role, layer or tensor; the flat table has all of each tensor."""
    tables = {"role": _roles, "layer": _layers, "tensor": _tensors}
    return Document(
        data=stats,
        title=stats.reference,
        verdict="ok" if stats.ok else "failed",
        subtitle=" · ".join(_subtitle(stats)),
        facts=tuple(_facts(stats)),
        table=tables[by](stats),
        records=_records(stats),
        notes=tuple(_notes(stats)),
        findings=stats.findings,
    )


def _subtitle(stats: Stats) -> Iterator[str]:
    yield words.plural(len(stats.tensors), "tensor")
    yield words.size(stats.bytes)
    if stats.sample is not None:
        yield "sampled"
    if not stats.complete:
        yield "incomplete: interrupted"


def _facts(stats: Stats) -> Iterator[tuple[str, str]]:
    for stack in dict.fromkeys(row.stack for row in stats.layers):
        sizes = [row.figures.rms for row in stats.layers if row.stack == stack]
        yield f"RMS {stack}", sparkline(sizes)
    patterns: dict[str, int] = {}
    for row in stats.tensors:
        if row.zeros and row.zeros.pattern:
            patterns[row.zeros.pattern] = patterns.get(row.zeros.pattern, 0) + 1
    for pattern, count in patterns.items():
        yield "Sparsity", f"{pattern} in {words.plural(count, 'tensor')}"
    if stats.duplicates:
        names = "; ".join(" = ".join(names) for names in stats.duplicates[:3])
        more = f"; and {len(stats.duplicates) - 3:,} more" if len(stats.duplicates) > 3 else ""
        yield "Equal", f"{names}{more}"
    overflow = sum(row.figures.float16_overflow for row in stats.roles)
    if overflow:
        yield "Float16", f"{words.plural(overflow, 'value')} would be infinite"
    if stats.baseline:
        yield from _drifted(stats.baseline)


def _drifted(baseline: Baseline) -> Iterator[tuple[str, str]]:
    changed = len(baseline.drifted) + len(baseline.added) + len(baseline.removed)
    yield (
        "Baseline",
        (
            f"all {words.plural(baseline.same, 'tensor')} as in {baseline.reference}"
            if not changed
            else f"{words.count(baseline.same)} as in {baseline.reference}, {len(baseline.drifted):,} changed, "
            f"{len(baseline.added):,} new, {len(baseline.removed):,} missing"
        ),
    )
    for drift in baseline.drifted[:SHOWN]:
        parts = {"mean moved": drift.mean_shift, "std ×": drift.std_ratio, "largest ×": drift.absmax_ratio}
        told = [f"{what} {value:.4g}" for what, value in parts.items() if value is not None]
        yield "Changed", f"{drift.name}   " + "   ".join(told)


def _notes(stats: Stats) -> Iterator[str]:
    if stats.sample is not None:
        yield f"At most {stats.sample:,} values of each tensor were read: counts are of these, rare faults are missed."
    if stats.stored and any(row.quantization or row.kind == "scale" for row in stats.tensors):
        yield "Quantized weights are shown as they are stored."
    elif any(row.quantization for row in stats.tensors):
        yield "Quantized weights are shown as they act; stats --stored shows what is stored."
    if found := untrained(stats):
        yield (
            f"The weights look untrained: all {found.matrices:,} matrices have a mean of 0 and one standard deviation "
            f"({found.low:.3g} to {found.high:.3g}), and all {words.plural(found.norms, 'norm')} are {found.norm:g}, "
            "as random initialization leaves them."
        )
    yield from spectrum_notes(stats)


def _roles(stats: Stats) -> Table:
    kin: dict[tuple[str, tuple[str, ...], str, str | None], list[TensorStats]] = {}
    for row in stats.tensors:
        kin.setdefault((row.component, row.roles, row.kind, row.stack), []).append(row)

    def members(row: RoleStats) -> Sequence[TensorStats]:
        return kin.get((row.component, row.roles, row.kind, row.stack), ())

    titles = _apart(stats.roles, [_role(row, members(row)) for row in stats.roles])
    return _table(
        (Column(title="Role", kind="name"), TENSORS),
        [
            ((title, row.tensors), row.figures, (*spectrum_cells(stats, members(row)), sparkline(row.rms)))
            for title, row in zip(titles, stats.roles, strict=True)
        ],
        (*spectrum_columns(stats), LAYERS),
    )


def _apart(rows: Sequence[RoleStats], titles: Sequence[str]) -> Sequence[str]:
    """The titles; where several rows have the same, with their component, and if that does not tell, their layers."""
    count = Counter(titles)
    with_component = [
        f"{row.component} {title}" if count[title] > 1 else title for row, title in zip(rows, titles, strict=True)
    ]
    count = Counter(with_component)
    return [
        f"{title} in {row.stack}" if count[title] > 1 and row.stack else title
        for row, title in zip(rows, with_component, strict=True)
    ]


def _role(row: RoleStats, members: Sequence[TensorStats]) -> str:
    """The role; of what is no weight its kind, and what the tensors are called: a weight may have several scales."""
    name = " + ".join(row.roles)
    if row.kind == "weight":
        return name
    called = dict.fromkeys(member.name.rpartition(".")[2] for member in members)
    said = "" if row.kind in called or row.kind == "bias" else f" ({', '.join(called)})"
    return f"{name} {row.kind}{said}"


def _layers(stats: Stats) -> Table:
    kin: dict[tuple[str | None, int | None], list[TensorStats]] = {}
    for row in stats.tensors:
        kin.setdefault((row.stack, row.layer), []).append(row)

    def spectrum(row: LayerStats) -> tuple[Cell, ...]:
        return spectrum_cells(stats, kin.get((row.stack, row.layer), ()))

    return _table(
        (Column(title="Layer", kind="name"), TENSORS),
        [((f"{row.stack}.{row.layer}", row.tensors), row.figures, spectrum(row)) for row in stats.layers],
        spectrum_columns(stats),
    )


def _tensors(stats: Stats) -> Table:
    return _table(
        (Column(title="Name", kind="name"),),
        [((row.name,), row.figures, spectrum_cells(stats, (row,))) for row in stats.tensors],
        spectrum_columns(stats),
    )


def _table(
    first: tuple[Column, ...],
    rows: Sequence[tuple[tuple[Cell, ...], Figures, tuple[Cell, ...]]],
    last: tuple[Column, ...] = (),
) -> Table:
    """What a line is about, its figures, and what more there is; NaN and infinity have a column where there are any."""
    broken = any(figures.non_finite for _, figures, _ in rows)
    columns = (*first, *NUMBERS, ZEROS, *((BROKEN,) if broken else ()), MAGNITUDES, *last)
    return Table(columns=columns, rows=tuple((*head, *_cells(of, broken=broken), *tail) for head, of, tail in rows))


def _cells(figures: Figures, *, broken: bool) -> tuple[Cell, ...]:
    share = figures.zeros / figures.elements if figures.elements else None
    more = (figures.non_finite,) if broken else ()
    return figures.mean, figures.std, figures.absmax, share, *more, histogram(figures)


def histogram(figures: Figures) -> str:
    """Counts by powers of two as blocks, and the powers at both ends: `2^-12 ▁▃█▂ 2^-3`; empty without any.

    One value in 1,000 at either end is left out.
    """
    counts = figures.magnitudes
    first, last = _inner(counts), len(counts) - _inner(counts[::-1])
    if first >= last:
        return ""
    blocks = "".join(_block(count, max(counts)) for count in counts[first:last])
    return f"2^{first + LOWEST} {blocks} 2^{last - 1 + LOWEST}"


def _inner(counts: Sequence[int]) -> int:
    """The first place up to which more than one value in 1,000 lies."""
    few, so_far = sum(counts) / 1000, 0
    for place, count in enumerate(counts):
        so_far += count
        if so_far > few:
            return place
    return len(counts)


def _block(count: int, most: int) -> str:
    """Its height as a share of the highest; what is there is visible, what is not is a blank."""
    return " " if not count else BLOCKS[min(count * len(BLOCKS) // most, len(BLOCKS) - 1)]


def _records(stats: Stats) -> Table:
    texts = ("Name", "Component", "Roles", "Kind", "Dtype", "Quantization", "Shape", "Stack", "Layer")
    counts = [name for name in Figures.__struct_fields__ if name != "magnitudes"]
    places = ("Dead rows", "Dead columns", "Pattern")
    spectrum = () if stats.too_large is None else TITLES
    return Table(
        columns=tuple(Column(title=title) for title in (*texts, *counts, *places, *spectrum)),
        rows=tuple(
            (
                row.name,
                row.component,
                "+".join(row.roles),
                row.kind,
                row.dtype,
                row.quantization or "",
                f"[{', '.join(map(str, row.shape))}]",
                row.stack or "",
                row.layer,
                *(getattr(row.figures, name) for name in counts),
                *((row.zeros.dead_rows, row.zeros.dead_columns, row.zeros.pattern) if row.zeros else (None,) * 3),
                *(spectrum_record(row) if spectrum else ()),
            )
            for row in stats.tensors
        ),
    )
