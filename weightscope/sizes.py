"""Integers that remember which config keys they came from, so that a shape can be said in config terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self, SupportsIndex, cast

# A list repeated by a size has no more items: one for each layer.
MAX_ITEMS = 1_000_000


class Size(int):
    """A dimension and the expression that gave it: `Size(8, "num_key_value_heads") * Size(64, "head_dim")` is 512
    and reads `num_key_value_heads·head_dim`. Arithmetic with a plain int writes the number.

    `keys` are the config keys, in order of appearance. It is an int everywhere else.
    """

    text: str
    keys: tuple[str, ...]
    is_sum: bool

    def __new__(
        cls, value: SupportsIndex, text: str = "", keys: tuple[str, ...] | None = None, *, is_sum: bool = False
    ) -> Self:
        """Without `keys`, `text` is itself the key."""
        size = super().__new__(cls, value)
        size.text = text or str(int(size))
        size.keys = ((text,) if text else ()) if keys is None else keys
        size.is_sum = is_sum
        return size

    # Anything but an int is left to the other side: half a size is a float, not a size of 0.
    def __mul__(self, other: int) -> Size:
        return _combine(self, other, int.__mul__, "·")

    def __rmul__(self, other: int) -> Size:
        return _combine(other, self, int.__mul__, "·")

    def __floordiv__(self, other: int) -> Size:
        return _combine(self, other, int.__floordiv__, "/")

    def __add__(self, other: int) -> Size:
        return _combine(self, other, int.__add__, " + ")

    def __radd__(self, other: int) -> Size:
        return _combine(other, self, int.__add__, " + ")

    def __sub__(self, other: int) -> Size:
        return _combine(self, other, int.__sub__, " - ")


Shape = tuple[Size, ...]


def size(value: int) -> Size:
    """The value as a Size; a plain number speaks for itself."""
    return value if isinstance(value, Size) else Size(value)


def _combine(left: object, right: object, compute: Callable[[int, int], int], operator: str) -> Size:
    for own, other in ((right, left), (left, right)):
        if isinstance(other, str | bytes) or (isinstance(other, list | tuple) and _is_long(own, other)):
            # Python would repeat it, as often as the size says.
            raise TypeError(f"{own!r:.20} cannot be computed with {other[:40]!r:.60}")
    if not (isinstance(left, int) and isinstance(right, int)):
        return cast("Size", NotImplemented)
    a, b = size(left), size(right)
    is_sum = operator in (" + ", " - ")
    text = operator.join(f"({s.text})" if s.is_sum and not is_sum else s.text for s in (a, b))
    return Size(compute(int(a), int(b)), text, tuple(dict.fromkeys(a.keys + b.keys)), is_sum=is_sum)


def _is_long(count: object, items: Sequence[object]) -> bool:
    """Whether so many repetitions are more than a list by layers has."""
    return not isinstance(count, int) or count * len(items) > MAX_ITEMS
