"""What an adapter does to one weight of its base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    import torch


class Raw(Protocol):
    """The tensors of an adapter as they are stored."""

    def whole(self, name: str) -> torch.Tensor:
        """All of one."""
        ...

    def rows(self, name: str, index: slice | torch.Tensor) -> torch.Tensor:
        """Some entries of its first dimension."""
        ...


class Change(Protocol):
    """One change of one weight. Shapes are those of the weight upright: (out, in), whatever way it is stored."""

    @property
    def weight(self) -> str:
        """The weight's name in the base, as the adapter spells it."""
        ...

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the adapter's tensors that it is made of."""
        ...

    @property
    def formula(self) -> str:
        """What the weight becomes, in one line of maths."""
        ...

    @property
    def rank(self) -> int | None:
        """The rank of a low-rank product; None of other changes."""
        ...

    @property
    def rowwise(self) -> bool:
        """Whether rows of the result need the same rows of the weight alone."""
        ...

    @property
    def adds(self) -> bool:
        """Whether it adds to the weight, so that several make the same in any order."""
        ...

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape that the weight must have; None for a dimension of any length."""
        ...

    @property
    def unready(self) -> str:
        """Why it cannot be computed, as a sentence about the adapter; empty where it can."""
        ...

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """The changed weight [out, in] in float32, or those `rows` of it; `weight` is not written to.

        Only what is `rowwise` is asked for rows.
        """
        ...


class OneTensor(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of a change that is made of one tensor, and of no low rank; it adds nothing to the weight."""

    weight: str
    tensor: str
    shape: tuple[int | None, ...]
    rank: int | None = None
    unready: str = ""
    adds: bool = False

    @property
    def tensors(self) -> tuple[str, ...]:
        """The one."""
        return (self.tensor,)


def widened(weight: torch.Tensor) -> torch.Tensor:
    """The weight in float32, or in its own type if that is wider."""
    import torch

    return weight.to(torch.promote_types(weight.dtype, torch.float32))


def times(scale: float | None) -> str:
    """A scale in a line of maths: its number, or `s` where nothing tells it."""
    return "s" if scale is None else f"{scale:.5g}"


def unscaled(scale: float | None, weight: str) -> str:
    """Why a change of that weight cannot be computed where nothing tells its scale; empty where something does."""
    return "" if scale is not None else f"nothing tells the scale (alpha) of {weight}"


class Fault(NamedTuple):
    """What is wrong beside a module, as a sentence that follows its name."""

    module: str
    what: str


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a method makes of the tensors of one module: changes, and what is wrong with the tensors."""

    changes: tuple[Change, ...] = ()
    faults: tuple[Fault, ...] = ()


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """The tensors beside one module of the base: their names by part, and their shapes by name."""

    name: str
    parts: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def weight(self) -> str:
        """The name of the module's weight."""
        return f"{self.name}.weight"

    def shape(self, part: str) -> tuple[int, ...]:
        """The shape of one of its parts."""
        return self.shapes[self.parts[part]]

    def lacking(self, **words: str) -> tuple[Fault, ...]:
        """A fault for each of these parts that is not there, under the words that files have for it."""
        return tuple(self.fault(f"{word} is missing") for part, word in words.items() if part not in self.parts)

    def fault(self, what: str) -> Fault:
        """Something that is wrong here."""
        return Fault(self.name, what)

    def other_rank(self, rank: int | None, said: int | None) -> tuple[Fault, ...]:
        """The fault of a rank that is not what the settings say, where they do."""
        if rank is None or said is None or rank == said:
            return ()
        return (self.fault(f"rank {rank:,}, but the settings say {said:,}"),)


def fits(wanted: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    """Whether a weight of that shape can be changed."""
    return len(wanted) == len(shape) and all(a is None or a == b for a, b in zip(wanted, shape, strict=True))
