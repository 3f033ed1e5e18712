"""Which tensors were asked for, and what there is instead where none fits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weightscope.analyses.listing import TensorRow
from weightscope.analyses.selecting import Pattern, better_pattern, spans
from weightscope.checkpoint.dtypes import BLOCKS, DTYPE_BITS, TORCH_NAMES
from weightscope.errors import UsageError
from weightscope.ranges import spell
from weightscope.roles import Role

# Of roles or dtypes, in one line.
SHOWN = 12


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to show: those that fit every part that is set."""

    pattern: Pattern | None = None
    roles: frozenset[str] = frozenset()
    layers: tuple[tuple[int, int], ...] = ()
    dtypes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, pattern: str | None, roles: Sequence[str], layers: Sequence[str], dtypes: Sequence[str]) -> Filter:
        """From what a user typed.

        Raises:
            UsageError: an unknown role or dtype, or a layer that is neither a number nor a range.
        """
        unknown = [role for role in roles if role not in set(Role)]
        if unknown:
            from difflib import get_close_matches

            near = get_close_matches(unknown[0], list(Role), n=3)
            raise UsageError(
                f"no role {unknown[0]!r}", hint=f"did you mean {' or '.join(near)}?" if near else _known("roles", Role)
            )
        names = frozenset(TORCH_NAMES.get(dtype.lower(), dtype.upper()) for dtype in dtypes)
        strange = sorted(names - DTYPE_BITS.keys() - BLOCKS.keys())
        if strange:
            raise UsageError(f"no dtype {strange[0]!r}", hint=_known("dtypes", (*DTYPE_BITS, *BLOCKS)))
        return cls(
            pattern=Pattern.of(pattern) if pattern else None,
            roles=frozenset(roles),
            layers=tuple(span for layer in layers for span in _layers(layer)),
            dtypes=names,
        )

    def fits(self, row: TensorRow) -> bool:
        """Whether a row is one of those asked for."""
        return (
            (self.pattern is None or self.pattern.fits(row.name))
            and (not self.roles or not self.roles.isdisjoint(row.roles))
            and (not self.dtypes or row.dtype in self.dtypes)
            and (
                not self.layers
                or (row.layer is not None and any(first <= row.layer <= last for first, last in self.layers))
            )
        )

    def parts(self) -> Iterator[Filter]:
        """Each part that is set, alone."""
        if self.pattern:
            yield Filter(pattern=self.pattern)
        if self.roles:
            yield Filter(roles=self.roles)
        if self.layers:
            yield Filter(layers=self.layers)
        if self.dtypes:
            yield Filter(dtypes=self.dtypes)


def what_there_is(wanted: Filter, rows: Sequence[TensorRow]) -> tuple[str, ...]:
    """Sentences on why nothing fits: what there is of each part that fits nothing, or how many fit each part alone."""
    counts = [(part, sum(map(part.fits, rows))) for part in wanted.parts()]
    empty = [_instead(part, rows) for part, count in counts if not count]
    if empty or not counts:
        return tuple(empty)
    return (
        "No tensor matches all filters: "
        + ", ".join(f"{_said(part)} matches {count:,}" for part, count in counts)
        + ".",
    )


def _instead(part: Filter, rows: Sequence[TensorRow]) -> str:
    if part.pattern:
        better = better_pattern(part.pattern.text, [row.name for row in rows])
        hint = f'Try "{better[0]}" ({better[1]:,} tensor{"" if better[1] == 1 else "s"}).' if better else _begins(rows)
        return f'No name matches "{part.pattern.text}". {hint}'
    if part.roles:
        return f"No tensor has {_said(part)}. {_here('Roles', (role for row in rows for role in row.roles))}"
    if part.layers:
        layers = {row.layer for row in rows if row.layer is not None}
        there = f"Layers are {spell(layers)}." if layers else "No tensor belongs to a layer."
        return f"No tensor has {_said(part)}. {there}"
    dtypes = [row.dtype for row in rows if row.dtype]
    return f"No tensor has {_said(part)}. {_here('Dtypes', dtypes)}"


def _said(part: Filter) -> str:
    if part.pattern:
        return f'"{part.pattern.text}"'
    if part.roles:
        return f"role {' or '.join(sorted(part.roles))}"
    if part.layers:
        return f"layer {', '.join(str(a) if a == b else f'{a}–{b}' for a, b in part.layers)}"
    return f"dtype {' or '.join(sorted(part.dtypes))}"


def _here(what: str, words: Iterable[str]) -> str:
    """The most frequent ones, in the order in which they come."""
    counts = Counter(words)
    if not counts:
        return f"{what} here: none."
    most = {word for word, _ in counts.most_common(SHOWN)}
    shown = ", ".join(word for word in counts if word in most)
    return f"{what} here: {shown}{', …' if len(counts) > SHOWN else '.'}"


def _begins(rows: Sequence[TensorRow]) -> str:
    return _here("Names begin with", (row.name.partition(".")[0] for row in rows)).replace(" here:", "")


def _layers(text: str) -> tuple[tuple[int, int], ...]:
    if not re.fullmatch(r"\d{1,9}(?:[-–]\d{1,9})?(?:,\d{1,9}(?:[-–]\d{1,9})?)*", text):
        raise UsageError(f"--layer {text!r} is neither a number nor a range", hint="write --layer 3 or --layer 3-7")
    return spans(text)


def _known(what: str, names: Iterable[str]) -> str:
    return f"{what} are " + ", ".join(names)
