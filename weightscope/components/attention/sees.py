"""Which positions a token sees: each record bounds the keys of some queries and hides the rest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

if TYPE_CHECKING:
    import torch


class Sees(Protocol):
    """What attention asks of such a record."""

    def fused(self, length: int) -> bool | None:
        """`is_causal` for torch's own kernel, where it computes this for that length without a mask; else None."""
        ...

    def keys(self, start: int, stop: int, length: int) -> tuple[int, int]:
        """The first and the last key, exclusive, that any of the queries from `start` to `stop` may see."""
        ...

    def hides(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor | None:
        """True [queries, keys] where a query does not see a key, by positions [queries, 1] and [keys]."""
        ...

    @property
    def kept(self) -> int | None:
        """How many tokens before the next one that may see at most; None for all."""
        ...

    @property
    def later(self) -> bool:
        """Whether tokens see later ones: a model of such layers reads, and does not write."""
        ...

    @property
    def words(self) -> str:
        """What a token sees, for people; empty for what is usual."""
        ...


class Causal(msgspec.Struct, frozen=True):
    """A token sees itself and all before it."""

    kept: ClassVar[int | None] = None
    later: ClassVar[bool] = False
    words: ClassVar[str] = ""

    def fused(self, length: int) -> bool | None:
        return True

    def keys(self, start: int, stop: int, length: int) -> tuple[int, int]:
        return 0, stop

    def hides(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor | None:
        return keys > queries


class Window(msgspec.Struct, frozen=True):
    """A token sees `size` positions: itself and those right before it."""

    size: int
    later: ClassVar[bool] = False

    def fused(self, length: int) -> bool | None:
        """As if there were no window, while the sequence is no longer than it."""
        return True if self.size >= length else None

    def keys(self, start: int, stop: int, length: int) -> tuple[int, int]:
        return max(0, start - self.size + 1), stop

    def hides(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor | None:
        return (keys > queries) | (keys <= queries - self.size)

    @property
    def kept(self) -> int | None:
        return self.size - 1

    @property
    def words(self) -> str:
        return f"window {self.size:,}"


class Chunk(msgspec.Struct, frozen=True):
    """A token sees those before it in its own chunk; chunks begin at multiples of `size` (Llama 4)."""

    size: int
    later: ClassVar[bool] = False

    def fused(self, length: int) -> bool | None:
        """As if there were no chunks, while there is only one."""
        return True if self.size >= length else None

    def keys(self, start: int, stop: int, length: int) -> tuple[int, int]:
        return start // self.size * self.size, stop

    def hides(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor | None:
        return (keys > queries) | (keys // self.size != queries // self.size)

    @property
    def kept(self) -> int | None:
        return self.size - 1

    @property
    def words(self) -> str:
        return f"chunks of {self.size:,}"


class Everything(msgspec.Struct, frozen=True):
    """A token sees all positions, later ones too (encoders, embedding models)."""

    kept: ClassVar[int | None] = None
    later: ClassVar[bool] = True
    words: ClassVar[str] = "bidirectional"

    def fused(self, length: int) -> bool | None:
        """Torch's kernel without a mask."""
        return False

    def keys(self, start: int, stop: int, length: int) -> tuple[int, int]:
        return 0, length

    def hides(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor | None:
        return None


class Around(msgspec.Struct, frozen=True):
    """A token sees all positions that are at most `reach` before or after it."""

    reach: int
    later: ClassVar[bool] = True

    def fused(self, length: int) -> bool | None:
        """As if it saw everything, while the sequence is no longer than that."""
        return False if self.reach >= length - 1 else None

    def keys(self, start: int, stop: int, length: int) -> tuple[int, int]:
        return max(0, start - self.reach), min(length, stop + self.reach)

    def hides(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor | None:
        return (keys - queries).abs() > self.reach

    @property
    def kept(self) -> int | None:
        return self.reach

    @property
    def words(self) -> str:
        return f"bidirectional within {self.reach:,}"


class Segments(msgspec.Struct, frozen=True):
    """A patch sees all patches of its own segment: its image, frame or window; the pass knows their lengths.

    Not one of `Sees`: attention goes over the segments, each of which sees everything, or where `causal` what is before
    it. `of` is the kind of segment: `image`, `frame` or `window`, or of frames of audio (`what`) their `clip`.
    """

    of: str
    causal: bool = False
    what: str = "patches"
    kept: ClassVar[int | None] = 0
    later: ClassVar[bool] = True

    @property
    def words(self) -> str:
        return f"all {'earlier ' if self.causal else ''}{self.what} of its {self.of}"


CAUSAL = Causal()
EVERYTHING = Everything()
