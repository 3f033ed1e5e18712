"""What stands out among the figures of a model, as findings with their evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.stats import findings
from weightscope.analyses.stats.looked import Looked
from weightscope.analyses.stats.outliers import Outlier, compared
from weightscope.analyses.stats.repeats import Repeats, copied_layers
from weightscope.findings import Finding
from weightscope.storage.base import Kind

# Of a trained model, the matrices of one role differ from those of the layers around by less than 3, and most by less
# than 1.5 (SmolLM2 135M, all-MiniLM-L6-v2): what is farther than this was scaled.
FAR = 5.0


def unsound(seen: Sequence[Looked]) -> Iterator[Finding]:
    """Values that no weight should have."""
    yield from findings.unreadable((one.name, one.error) for one in seen if one.error)
    yield from findings.non_finite(one.name for one in seen if _is_broken(one))
    yield from findings.all_zero([one.name for one in seen if _is_zero(one)])
    for one in seen:
        if one.zeros and not _is_zero(one):
            if one.zeros.dead_experts:
                yield findings.dead_parts(one.name, "expert", one.zeros.dead_experts)
            if one.zeros.dead_heads:
                yield findings.dead_parts(one.name, "head", one.zeros.dead_heads)


def odd(seen: Sequence[Looked], repeats: Repeats) -> Iterator[Finding]:
    """Weights that are unlike those of the same role in other layers, or too much like them."""
    for one in seen:
        if is_constant(one):
            yield findings.constant(one.name, one.figures.min)
    for stack, layer, earlier in copied_layers(seen, repeats):
        yield findings.copied(stack, layer, earlier)
    yield from _odd_sizes(seen)


def _is_broken(one: Looked) -> bool:
    """Whether there are NaN, or infinite numbers where none can be meant."""
    return bool(one.figures.nan if one.known.group.may_be_infinite else one.figures.non_finite)


def is_constant(one: Looked) -> bool:
    """Whether all values of a matrix are one number, and that is not zero."""
    return one.is_matrix and one.figures.is_constant and bool(one.figures.absmax)


def _is_zero(one: Looked) -> bool:
    figures = one.figures
    matrix = len(one.shape) > 1 and one.known.group.kind is Kind.WEIGHT
    return matrix and figures.elements > 0 and figures.zeros == figures.elements


def _odd_sizes(seen: Sequence[Looked]) -> Iterator[Finding]:
    """One finding a layer and direction."""
    odd: dict[tuple[str, int, bool], list[Outlier]] = {}
    for outlier in compared(one for one in seen if one.is_matrix):
        known = outlier.looked.known
        if outlier.ratio >= FAR and known.layer is not None:
            odd.setdefault((known.stack or "", known.layer, outlier.rms > outlier.usual), []).append(outlier)
    for (stack, layer, larger), outliers in sorted(odd.items()):
        names = [outlier.looked.name for outlier in outliers]
        yield findings.odd_size(stack, layer, names, max(o.ratio for o in outliers), larger=larger)
