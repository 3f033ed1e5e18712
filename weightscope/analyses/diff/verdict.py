"""What B is to A, from what differs: one word and one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec

from weightscope.analyses.diff.headers import Weights
from weightscope.analyses.diff.nearness import apart_of, is_close, is_rounding, is_turned_little
from weightscope.analyses.diff.ranks import is_narrow
from weightscope.analyses.diff.result import ConfigChange, Kind, Reshaped, Retyped, Verdict, WeightDiff
from weightscope.brief import plural

# Weights that were trained apart have a cosine near 0, a fine-tune's near 1.
RELATED = 0.5


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the verdict rests on. `values` is None where only headers were compared, `asked` how many weights were
    to be compared. `folded` are norms and matrices that changed by scales which undo each other, `offset` norms that
    differ by 1 everywhere: 1 where B's are larger; `multiplied` are weights that are A's times one number.
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
    folded: frozenset[str] = frozenset()
    offset: Mapping[str, float] = {}
    multiplied: Mapping[str, float] = {}

    @property
    def misshapen(self) -> list[Reshaped]:
        """Weights that cannot be compared or merged; a vocabulary with more rows can."""
        return [change for change in self.reshaped if change.rows_added is None]

    @property
    def changed(self) -> list[WeightDiff]:
        """Weights with other numbers; scales of activations are none."""
        return [value for value in self.values or () if not value.equal and not self._is_scale(value)]

    @property
    def calibrated(self) -> int:
        """How many scales of activations have other numbers."""
        return sum(not value.equal and self._is_scale(value) for value in self.values or ())

    @property
    def stored_otherwise(self) -> int:
        """How many weights have the same type and numbers, but other bytes."""
        equal = (value.address for value in self.values or () if value.equal and not value.stored_alike)
        return sum(self.a[address].dtype == self.b[address].dtype for address in equal)

    def _folded(self) -> Iterator[str]:
        norms = sum(len(self.a[address].shape) == 1 for address in self.folded)
        if norms:
            yield f"its scales are folded into {plural(norms, 'norm')}"

    def _offsets(self) -> Iterator[str]:
        for side, step in (("A", -1), ("B", 1)):
            if count := sum(found == step for found in self.offset.values()):
                yield f"1 was added to the weights of {plural(count, 'norm')} of {side}"

    def _is_scale(self, value: WeightDiff) -> bool:
        return self.a[value.address].is_activation_scale

    @property
    def others(self) -> str:
        """What else differs, for the end of the sentence."""
        rows = next((change.rows_added for change in self.reshaped if change.rows_added), 0)
        vocabulary = (
            f"{plural(abs(rows), 'row')} of the vocabulary {'added' if rows > 0 else 'removed'}" if rows else ""
        )
        parts = (
            *self._folded(),
            *self._offsets(),
            vocabulary,
            *_there(self.b, self.added, "added"),
            *_there(self.a, self.removed, "removed"),
            f"config.json differs in {', '.join(change.key for change in self.config[:3])}"
            + (" …" if len(self.config) > 3 else "")
            if self.config
            else "",
            f"{plural(self.calibrated, 'scale')} of activations changed" if self.calibrated else "",
        )
        return "; ".join(filter(None, parts))


def _there(side: Weights, addresses: Sequence[str], what: str) -> Iterator[str]:
    """How many weights, and how many scales of activations, are in one model alone."""
    scales = sum(side[address].is_activation_scale for address in addresses)
    if len(addresses) > scales:
        yield f"{plural(len(addresses) - scales, 'weight')} {what}"
    if scales:
        yield f"{plural(scales, 'scale')} of activations {what}"


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
    return _of_values(facts, facts.changed) if facts.changed else _of_equals(facts)


def _of_equals(facts: Facts) -> tuple[Kind, str, None]:
    same_form = (
        facts.formats[0] == facts.formats[1] and not facts.retyped and not facts.renamed and not facts.stored_otherwise
    )
    if same_form and not facts.others:
        return "identical", "identical", None
    if same_form:
        return "same-weights", "same weights", None
    dtypes = {f"{change.a} and {change.b}" for change in facts.retyped}
    forms = [
        f"{facts.formats[0]} and {facts.formats[1]}" if facts.formats[0] != facts.formats[1] else "",
        f"{plural(facts.renamed, 'weight')} under other names" if facts.renamed else "",
        *sorted(dtypes),
        f"{plural(facts.stored_otherwise, 'weight')} with other bytes" if facts.stored_otherwise else "",
    ]
    return "same-weights", f"same weights in another form ({', '.join(filter(None, forms))})", None


def _but_for(facts: Facts, changed: Sequence[WeightDiff]) -> tuple[Kind, str, None] | None:
    """The same weights but for rounding, or but for what a convention did to some of them."""
    others = [value.address for value in changed if not is_rounding(value)]
    if not others:
        types = ", ".join(sorted({f"{change.a} and {change.b}" for change in facts.retyped}))
        # Without another dtype, what was computed with them was rounded, such as 1 added to norms.
        return "rounded", f"same weights, rounded ({types})" if types else "same weights but for rounding", None
    if facts.offset.keys() >= {*others}:
        return "norm-offset", "same weights but for their norms", None
    if {*facts.offset, *facts.multiplied} >= {*others}:
        count = plural(len(facts.multiplied), "weight")
        return "multiplied", f"same weights, but {count} multiplied by one number each", None
    return None


def _of_values(facts: Facts, changed: Sequence[WeightDiff]) -> tuple[Kind, str, int | None]:
    if same := _but_for(facts, changed):
        return same
    quantized = [value for value in changed if _is_quantized(facts, value.address)]
    others = [value for value in changed if not _is_quantized(facts, value.address)]
    known = {*facts.folded, *facts.multiplied}
    explained = all(value.address in known or is_rounding(value) for value in others)
    near = all(_is_near(facts, value) for value in quantized)
    if quantized and explained and near:
        return _quantization(facts, quantized)
    # Of all matrices: one that was replaced does not make two models unrelated.
    matrices = [value for value in facts.values or () if len(facts.a[value.address].shape) > 1]
    cosines = [value.cosine for value in matrices if value.cosine is not None]
    if cosines and median(cosines) < RELATED:
        return "unrelated-values", f"same shapes, unrelated values (cosine {median(cosines):.2g})", None
    rank = max((value.rank or 0 for value in changed), default=0)
    if rank and all(value.rank or is_narrow(facts.a[value.address].shape, rank) for value in changed):
        roles = ", ".join(dict.fromkeys(value.role or value.address for value in changed))
        return "lora-merge", f"a merge of a LoRA of rank {rank} ({roles})", rank
    return "fine-tune", _tuned(facts, changed), None


def _is_near(facts: Facts, value: WeightDiff) -> bool:
    """Whether quantizing explains a change, or quantizing a weight that numbers of the config were multiplied into."""
    return is_close(value) or value.address in facts.folded or (bool(facts.config) and is_turned_little(value))


def _tuned(facts: Facts, changed: Sequence[WeightDiff]) -> str:
    """How many weights changed and how far, for models that are one another's fine-tune."""
    share = f"{len(changed):,} of {plural(len(facts.values or ()), 'weight')} changed"
    if apart := sum(value.largest is None for value in changed):
        return f"{share}; {plural(apart, 'weight')} with values that are finite in one model alone"
    relative = [value.relative for value in changed if value.relative is not None]
    how_far = f" by {median(relative) * 100:.3g} % of their norm" if relative else ""
    return f"a fine-tune: {share}{how_far}; compatible to merge"


def _is_quantized(facts: Facts, address: str) -> bool:
    """Whether one side has it quantized, or both."""
    return facts.a[address].is_quantized or facts.b[address].is_quantized


def _quantization(facts: Facts, changed: Sequence[WeightDiff]) -> tuple[Kind, str, None]:
    """Of weights that are quantized in a model or in both, and as near as quantizing leaves them."""
    a, b = (dict.fromkeys(_words(side, changed)) for side in (facts.a, facts.b))
    apart = f"{median(map(apart_of, changed)) * 100:.3g} %"
    if not a or not b:
        name, source = ("B", "A") if b else ("A", "B")
        return (
            "quantization",
            f"{name} is a quantization of {source} ({next(iter(a or b))}; relative error {apart})",
            None,
        )
    if all(facts.a[value.address].dtype == facts.b[value.address].dtype for value in changed):
        # Quantizing the same weights in the same way again gives the same codes, unless other data guided it.
        share = f"{len(changed):,} of {plural(len(facts.values or ()), 'weight')} changed by {apart} of their norm"
        return "fine-tune", f"quantized alike, fine-tuned or quantized anew: {share}", None
    text = f"two quantizations of like weights ({next(iter(a))} in A, {next(iter(b))} in B; {apart} apart)"
    return "quantization", text, None


def _words(side: Weights, changed: Sequence[WeightDiff]) -> list[str]:
    """How those of one side are quantized."""
    return [held.dtype for value in changed if (held := side[value.address]).is_quantized]
