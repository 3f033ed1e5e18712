"""What llama.cpp's converter makes of values, undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import torch


class Undo(Protocol):
    """One change of a role's values by the converter, backwards."""

    @property
    def words(self) -> str:
        """What the file holds, for people."""
        ...

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The values as the architecture has them."""
        ...


class PairedRows(msgspec.Struct, frozen=True):
    """Rows of a head that are rotated together lie side by side; transformers has them half a head apart."""

    size: int

    @property
    def words(self) -> str:
        """For people."""
        return f"rows of each head of {self.size} lie in pairs that are rotated together: the pass takes them apart"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[heads · size, …] to the same."""
        pairs = x.reshape(-1, self.size // 2, 2, *x.shape[1:])
        return pairs.transpose(1, 2).reshape(x.shape)


class PlusOne(msgspec.Struct, frozen=True):
    """The 1 that the norm adds to its weight has been added."""

    words: str = "stored with the 1 added that the norm adds: the pass takes it off"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The weight alone."""
        return x.float() - 1


class NegativeExp(msgspec.Struct, frozen=True):
    """Mamba's A itself, −exp(A_log)."""

    words: str = "stored as −exp(A_log): the pass takes the logarithm"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The logarithm of its opposite."""
        return (-x.float()).log()


class TiledHeads(msgspec.Struct, frozen=True, kw_only=True):
    """Values of each key lie apart: the first of every key, then the second of every key.

    `keys` is how many keys there are, `size` the elements of one value, which begin at `first` of dimension `along`.
    """

    keys: int
    size: int
    along: int = 0
    first: int = 0
    words: str = "value heads stored with the first of every key head in front: the pass puts those of a key together"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """To the same shape."""
        import torch

        before, heads = x.split((self.first, x.shape[self.along] - self.first), dim=self.along)  # type: ignore[no-untyped-call]
        apart = heads.unflatten(self.along, (-1, self.keys, self.size))
        together = apart.transpose(self.along, self.along + 1).flatten(self.along, self.along + 2)
        return torch.cat((before, together), dim=self.along)


class Reshaped(msgspec.Struct, frozen=True):
    """Dimensions of 1 have been left out, or a vector is stored as a matrix."""

    shape: tuple[int, ...]
    words: str = ""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The architecture's own shape."""
        return x.reshape(self.shape)
