"""Integers that remember which config keys they came from, so that a shape can be said in config terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self, SupportsIndex, cast

from weightscope.expressions import Sum, divided, floored, minus, plus, times, written, written_as_factor

# A list repeated by a size has no more items: one for each layer.
MAX_ITEMS = 1_000_000


class Size(int):
    """A dimension and the expression that gave it: `Size(8, "num_key_value_heads") * Size(64, "head_dim")` is 512
    and reads `num_key_value_heads·head_dim`. Arithmetic with a plain int writes the number.

    `keys` are the config keys, in order of appearance. It is an int everywhere else.
    """

    terms: Sum
    keys: tuple[str, ...]

    def __new__(cls, value: SupportsIndex, text: str = "", keys: tuple[str, ...] | None = None) -> Self:
        """Without `keys`, `text` is itself the key."""
        terms = (((text,), 1),) if text else (((), int(value)),)
        return cls.of(value, terms, ((text,) if text else ()) if keys is None else keys)

    @classmethod
    def of(cls, value: SupportsIndex, terms: Sum, keys: tuple[str, ...]) -> Self:
        """A value with its expression and the keys in it."""
        size = super().__new__(cls, value)
        size.terms = terms
        size.keys = keys
        return size

    @property
    def text(self) -> str:
        """The expression: like terms are one, what all terms have in common stands once."""
        return written(self.terms)

    @property
    def factor(self) -> str:
        """The expression as a part of a larger one: in brackets where it is a sum."""
        return written_as_factor(self.terms)

    # Anything but an int is left to the other side: half a size is a float, not a size of 0.
    def __mul__(self, other: int) -> Size:
        return _combine(self, other, int.__mul__, times)

    def __rmul__(self, other: int) -> Size:
        return _combine(other, self, int.__mul__, times)

    def __floordiv__(self, other: int) -> Size:
        return _combine(self, other, int.__floordiv__, divided if _divides(other, self) else floored)

    def __add__(self, other: int) -> Size:
        return _combine(self, other, int.__add__, plus)

    def __radd__(self, other: int) -> Size:
        return _combine(other, self, int.__add__, plus)

    def __sub__(self, other: int) -> Size:
        return _combine(self, other, int.__sub__, minus)


Shape = tuple[Size, ...]


def size(value: int) -> Size:
    """The value as a Size; a plain number speaks for itself."""
    return value if isinstance(value, Size) else Size(value)


def _combine(
    left: object, right: object, compute: Callable[[int, int], int], express: Callable[[Sum, Sum], Sum]
) -> Size:
    for own, other in ((right, left), (left, right)):
        if isinstance(other, str | bytes) or (isinstance(other, list | tuple) and _is_long(own, other)):
            # Python would repeat it, as often as the size says.
            raise TypeError(f"{own!r:.20} cannot be computed with {other[:40]!r:.60}")
    if not (isinstance(left, int) and isinstance(right, int)):
        return cast("Size", NotImplemented)
    a, b = size(left), size(right)
    return Size.of(compute(int(a), int(b)), express(a.terms, b.terms), tuple(dict.fromkeys(a.keys + b.keys)))


def _divides(part: object, whole: int) -> bool:
    return isinstance(part, int) and part != 0 and int(whole) % int(part) == 0


def _is_long(count: object, items: Sequence[object]) -> bool:
    """Whether so many repetitions are more than a list by layers has."""
    return not isinstance(count, int) or count * len(items) > MAX_ITEMS
