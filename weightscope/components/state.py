"""What a layer keeps of a sequence from one decode step to the next: one record for each way in which it grows.

Sizes are elements of one sequence; each sequence of a batch keeps as many.
"""

from __future__ import annotations

from math import ceil
from typing import Literal, Self

import msgspec
from msgspec.structs import replace

Kind = Literal[
    "keys_and_values",
    "latent",
    "index_keys",
    "cross_keys_and_values",
    "compressed_keys",
    "open_window",
    "convolution",
    "token_shift",
    "recurrence",
]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`entry` elements, once; where `parts` is more than 1, ranks of tensor parallelism can divide it by that.

    It is kept of the `last` tokens only, where that is not None. `dtype` is the element type where the state has its
    own. `cached` states have the type of the cache of keys and values, others that of the computation.
    """

    kind: Kind
    entry: int
    parts: int = 1
    dtype: str = ""
    cached: bool = True
    last: int | None = None

    def elements(self, tokens: int, source: int) -> int:
        """Elements after so many `tokens`, where cross-attention looks at `source` vectors."""
        del tokens, source
        return self.entry

    def growth(self, tokens: int) -> float:
        """Elements that one more token adds after so many."""
        del tokens
        return 0

    def pages(self, tokens: int, source: int, size: int) -> int:
        """Pages of `size` tokens that an allocator holds for it."""
        del tokens, source, size
        return 1

    def page(self, size: int) -> int:
        """Elements of one page of `size` tokens."""
        del size
        return self.entry

    @property
    def paged(self) -> bool:
        """Whether an allocator keeps it in pages."""
        return True

    def on_rank(self, ranks: int) -> Self:
        """What one of so many ranks of tensor parallelism keeps; more ranks than parts keep each part several times."""
        return replace(self, entry=ceil(self.entry / max(1, min(ranks, self.parts))))


class Fixed(State, frozen=True, kw_only=True):
    """The same however long the sequence is: a recurrence's memory, a convolution's last inputs.

    `spare` elements of it are not needed for the next token, and allocators do without them.
    """

    cached: bool = False
    spare: int = 0

    def page(self, size: int) -> int:
        del size
        return self.entry - self.spare

    def on_rank(self, ranks: int) -> Self:
        spare = ceil(self.spare / max(1, min(ranks, self.parts)))
        return replace(super().on_rank(ranks), spare=spare)


class PerToken(State, frozen=True, kw_only=True):
    """`entry` elements for each token, or for each of the `last` ones; `slides` is False where they begin anew."""

    slides: bool = True

    def elements(self, tokens: int, source: int) -> int:
        del source
        return self.entry * (tokens if self.last is None else min(tokens, self.last))

    def growth(self, tokens: int) -> float:
        return self.entry if self.last is None or tokens < self.last else 0

    def pages(self, tokens: int, source: int, size: int) -> int:
        """A window needs its last tokens and the new one, and one page more, since it may begin within a page."""
        del source
        if self.last is None:
            return ceil(tokens / size)
        if self.slides:
            return ceil(min(self.last + 1, tokens) / size) + 1
        return ceil(min(self.last + 2, tokens) / size)

    def page(self, size: int) -> int:
        return self.entry * size


class PerSource(State, frozen=True, kw_only=True):
    """`entry` elements for each vector that cross-attention looks at: of an encoder, or of images."""

    def elements(self, tokens: int, source: int) -> int:
        del tokens
        return self.entry * source

    def pages(self, tokens: int, source: int, size: int) -> int:
        del tokens
        return ceil(source / size)

    def page(self, size: int) -> int:
        return self.entry * size


class PerWindow(State, frozen=True, kw_only=True):
    """`entry` elements for each whole window of `window` tokens."""

    window: int

    def elements(self, tokens: int, source: int) -> int:
        del source
        return self.entry * (tokens // self.window)

    def growth(self, tokens: int) -> float:
        del tokens
        return self.entry / self.window

    def pages(self, tokens: int, source: int, size: int) -> int:
        """A page holds the keys of `size` windows."""
        del source
        return ceil(tokens // self.window / size)

    def page(self, size: int) -> int:
        return self.entry * size


class OpenWindow(State, frozen=True, kw_only=True):
    """`entry` elements for each token after the last whole window of `window`, and `before` of that one, if any."""

    window: int
    before: int

    def elements(self, tokens: int, source: int) -> int:
        del source
        return self.entry * (tokens % self.window) + (self.before if tokens >= self.window else 0)

    def page(self, size: int) -> int:
        """As much as it ever is."""
        del size
        return self.entry * (self.window - 1) + self.before

    @property
    def paged(self) -> bool:
        return False


def keys_and_values(
    heads: int, key: int, value: int, *, last: int | None = None, slides: bool = True
) -> tuple[PerToken, ...]:
    """A key and a value of each head for each token; nothing where no token is kept."""
    if last == 0:
        return ()
    entry = int(heads * (key + value))
    return (PerToken(kind="keys_and_values", entry=entry, parts=int(heads), last=last, slides=slides),)


def convolution(channels: int, columns: int) -> Fixed:
    """The last `columns` inputs of each channel: with a whole kernel of them, the first is not needed any more."""
    return Fixed(kind="convolution", entry=int(channels * columns), parts=int(channels), spare=int(channels))


def recurrence(parts: int, size: int, dtype: str = "F32") -> Fixed:
    """A memory of `size` elements for each of `parts` heads or channels."""
    return Fixed(kind="recurrence", entry=int(parts * size), parts=int(parts), dtype=dtype)
