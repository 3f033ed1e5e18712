"""How attention knows where tokens stand, and what it asks of each way to tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from weightscope.sizes import Shape, Size

if TYPE_CHECKING:
    import torch

    from weightscope.components.attention.attend import Bias
    from weightscope.components.running import At
    from weightscope.roles import Role
    from weightscope.storage.base import StorageItem

# How a rotation is computed, as far as memory goes.
Steps = Literal["plain", "float32", "converted", "complex", "apart"]


class Positions(msgspec.Struct, frozen=True, kw_only=True):
    """By itself no position at all: nothing is stored, no query or key is turned, nothing is added to scores.

    `turns` tells whether queries and keys are turned by their positions, `added` what is added to each score, as a
    part of the equation.
    """

    turns: ClassVar[bool] = False
    added: ClassVar[str] = ""

    @property
    def stored(self) -> Iterable[StorageItem]:
        """What a layer stores of it."""
        return ()

    def sizes(self, heads: Size) -> Mapping[Role, Shape]:
        """The shape of each role that is stored."""
        del heads
        return {}

    def terms(self) -> Mapping[Role, str]:
        """For each of them, the term of the equation that it makes."""
        return {}

    @property
    def halves(self) -> int:
        """Elements of a head that turn in pairs of halves."""
        return 0

    @property
    def neighbours(self) -> int:
        """Elements of a head that turn in pairs of neighbours."""
        return 0

    @property
    def turning(self) -> Steps:
        """How transformers' module turns them."""
        return "plain"

    def turned_part(self, size: int) -> int | None:
        """How many elements of a head of so many turn, where some do and not all; None otherwise."""
        del size
        return None

    def turned(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Queries or keys [heads, T, size], turned by the positions of the pass."""
        del at
        return x

    def made(self, weights: Mapping[str, torch.Tensor], at: At) -> Bias | None:
        """What is added to the scores of this layer."""
        del weights, at
        return None

    @property
    def words(self) -> str:
        """What it is, a sentence for people; empty for nothing."""
        return ""


NOWHERE = Positions()
