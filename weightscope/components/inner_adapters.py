"""LoRAs among a model's own weights, of which a pass adds one or none (arXiv 2106.09685)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from weightscope.components.base import Component
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear


class Factors(NamedTuple):
    """The names of what is multiplied: of [rows, rank], B but for a table's, and of [rank, columns]."""

    outward: str
    inward: str


class InnerAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """One of them: `scale` · B·A is added to each weight whose name ends with `weight`.

    `a` and `b` stand in the names of its factors in the place of that end. Those of `tables`, by the name before it,
    have a row for each token in A: A·B is added to them. Where factors of several lie in one tensor, it is the one of
    that `entry`.
    """

    weight: str
    a: str
    b: str
    scale: float
    tables: tuple[str, ...] = ()
    entry: int | None = None

    def of(self, name: str) -> Factors | None:
        """The factors that lie beside a weight of that name; None for none."""
        if not name.endswith(f".{self.weight}"):
            return None
        module = name.removesuffix(f".{self.weight}")
        first, second = (self.a, self.b) if module in self.tables else (self.b, self.a)
        return Factors(f"{module}.{first}", f"{module}.{second}")


class LoraBeside(Component, frozen=True, kw_only=True):
    """The two factors beside one matrix, which a pass adds to it `when` it gets something."""

    inputs: Size
    outputs: Size
    rank: Size
    mode: str
    scale: float
    when: str

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Linear(f"lora_A.{self.mode}", Role.LORA_A)
        yield Linear(f"lora_B.{self.mode}", Role.LORA_B)

    def sizes(self) -> Sizes:
        return {Role.LORA_A: (self.rank, self.inputs), Role.LORA_B: (self.outputs, self.rank)}

    def equation(self, x: str = "x") -> str:
        return f"(weight + {self.scale:g}·lora_b·lora_a)·{x} {self.when}; else weight·{x}"

    def terms(self) -> Mapping[Role, str]:
        return dict.fromkeys((Role.LORA_A, Role.LORA_B), self.equation())

    @property
    def awaited(self) -> bool:
        """Not: a pass reads them as it reads the weight beside them."""
        return False
