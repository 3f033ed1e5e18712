"""What B is to A, from what differs: one word and one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from weightscope.analyses.diff.headers import Weights
from weightscope.analyses.diff.result import ConfigChange, Kind, Reshaped, Retyped, Verdict, WeightDiff
from weightscope.brief import plural

# A quantized weight is no farther from its source: 2 bits leave about 0.3 of the norm and a cosine of 0.95.
QUANTIZED, ALIKE = 0.5, 0.85
# What a few operations in float32 leave.
COMPUTED = 1e-6
# Weights that were trained apart have a cosine near 0, a fine-tune's near 1.
RELATED = 0.5


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the verdict rests on. `values` is None where only headers were compared, `asked` how many weights were
    to be compared.
    """

    a: Weights
    b: Weights
    formats: tuple[str, str]
    config: Sequence[ConfigChange]
    added: Sequence[str]
    removed: Sequence[str]
    reshaped: Sequence[Reshaped]
    retyped: Sequence[Retyped]
    renamed: int
    values: Sequence[WeightDiff] | None
    asked: int

    @property
    def misshapen(self) -> list[Reshaped]:
        """Weights that cannot be compared or merged; a vocabulary with more rows can."""
        return [change for change in self.reshaped if change.rows_added is None]

    @property
    def others(self) -> str:
        """What else differs, for the end of the sentence."""
        rows = next((change.rows_added for change in self.reshaped if change.rows_added), 0)
        vocabulary = (
            f"{plural(abs(rows), 'row')} of the vocabulary {'added' if rows > 0 else 'removed'}" if rows else ""
        )
        parts = (
            vocabulary,
            f"{plural(len(self.added), 'weight')} added" if self.added else "",
            f"{plural(len(self.removed), 'weight')} removed" if self.removed else "",
            f"config.json differs in {', '.join(change.key for change in self.config[:3])}"
            + (" …" if len(self.config) > 3 else "")
            if self.config
            else "",
        )
        return "; ".join(filter(None, parts))


def verdict_of(facts: Facts) -> Verdict:
    """The first that holds."""
    kind, text, rank = _verdict(facts)
    others = facts.others
    return Verdict(kind=kind, text=f"{text}; {others}" if others and kind != "unrelated" else text, rank=rank)


def _verdict(facts: Facts) -> tuple[Kind, str, int | None]:
    if not facts.a.keys() & facts.b.keys():
        return "unrelated", "unrelated: no weight in common", None
    if facts.misshapen:
        count = len(facts.misshapen)
        return "incompatible", f"not compatible to merge: {plural(count, 'weight')} with another shape", None
    if facts.values is None:
        if facts.added or facts.removed or facts.reshaped:
            return (
                "compatible",
                f"the {len(facts.a.keys() & facts.b.keys()):,} weights of both have the same shapes",
                None,
            )
        return "same-shapes", "same weights by role and shape; --values compares the numbers", None
    if len(facts.values) < facts.asked:
        return "incomplete", f"interrupted: {len(facts.values):,} of {facts.asked:,} weights compared", None
    changed = [value for value in facts.values if not value.equal]
    return _of_values(facts, changed) if changed else _of_equals(facts)


def _of_equals(facts: Facts) -> tuple[Kind, str, None]:
    same_form = facts.formats[0] == facts.formats[1] and not facts.retyped and not facts.renamed
    if same_form and not facts.others:
        return "identical", "identical", None
    if same_form:
        return "same-weights", "same weights", None
    dtypes = {f"{change.a} and {change.b}" for change in facts.retyped}
    forms = [
        f"{facts.formats[0]} and {facts.formats[1]}" if facts.formats[0] != facts.formats[1] else "",
        f"{plural(facts.renamed, 'weight')} under other names" if facts.renamed else "",
        *sorted(dtypes),
    ]
    return "same-weights", f"same weights in another form ({', '.join(filter(None, forms))})", None


def _of_values(facts: Facts, changed: Sequence[WeightDiff]) -> tuple[Kind, str, int | None]:
    if all(_is_rounding(value) for value in changed):
        types = ", ".join(sorted({f"{change.a} and {change.b}" for change in facts.retyped}))
        # Without another dtype, what was computed with them was rounded, such as 1 added to norms.
        return "rounded", f"same weights, rounded ({types})" if types else "same weights but for rounding", None
    quantized = {address for address in facts.a if _is_quantized(facts, address)}
    if quantized and all(_is_close(value) if value.address in quantized else _is_rounding(value) for value in changed):
        return "quantization", _quantization(facts, [v for v in changed if v.address in quantized]), None
    cosines = [value.cosine or 0.0 for value in changed if len(facts.a[value.address].shape) > 1]
    if cosines and median(cosines) < RELATED:
        return "unrelated-values", f"same shapes, unrelated values (cosine {median(cosines):.2g})", None
    ranks = [value.rank for value in changed]
    if all(ranks):
        rank = max(rank or 0 for rank in ranks)
        roles = ", ".join(dict.fromkeys(value.role or value.address for value in changed))
        return "lora-merge", f"a merge of a LoRA of rank {rank} ({roles})", rank
    relative = [value.relative for value in changed if value.relative is not None]
    how_far = f" by {median(relative) * 100:.3g} % of their norm" if relative else ""
    share = f"{len(changed):,} of {plural(len(facts.values or ()), 'weight')} changed{how_far}"
    return "fine-tune", f"a fine-tune: {share}; compatible to merge", None


def _is_quantized(facts: Facts, address: str) -> bool:
    """Whether one side alone has it quantized."""
    other = facts.b.get(address)
    return other is not None and facts.a[address].is_quantized != other.is_quantized


def _is_rounding(value: WeightDiff) -> bool:
    """Whether computing in float32 and back, or storing in another dtype, explains the difference."""
    return value.equal or value.rounded or (value.relative is not None and value.relative <= COMPUTED)


def _is_close(value: WeightDiff) -> bool:
    near = value.relative is not None and value.relative <= QUANTIZED
    return near and value.cosine is not None and value.cosine >= ALIKE


def _quantization(facts: Facts, changed: Sequence[WeightDiff]) -> str:
    of_b = [value for value in changed if facts.b[value.address].is_quantized]
    side = facts.b if of_b else facts.a
    words = next(scheme.words for value in changed if (scheme := side[value.address].scheme))
    error = median(value.relative or 0.0 for value in changed)
    name, source = ("B", "A") if of_b else ("A", "B")
    return f"{name} is a quantization of {source} ({words}; relative error {error * 100:.3g} %)"
