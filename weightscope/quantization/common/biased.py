"""A bias that a method's writers give every module, also where the architecture has none: it is all zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.errors import NotImplementedByWeightscope
from weightscope.quantization.common.method import SCALES, module_of
from weightscope.quantization.common.reading import read_optional
from weightscope.storage.base import Bounds, Kind, Scheme, Stored

if TYPE_CHECKING:
    import torch

# AutoGPTQ's writers did so.
WRITERS = frozenset({"gptq", "auto-round", "awq"})
ZEROS = Bounds(least=0.0, most=0.0, words="biases", why="the architecture has no bias there, so it is never added")


class Biased(msgspec.Struct, frozen=True, kw_only=True):
    """Another scheme, with a `bias` beside it."""

    scheme: Scheme

    @property
    def name(self) -> str:
        """The other's."""
        return self.scheme.name

    @property
    def rowwise(self) -> bool:
        """Only as a whole: the bias is as long as the rows, not a part of them."""
        return False

    @property
    def words(self) -> str:
        """The other's, and that there is a bias."""
        return f"{self.scheme.words}, with a bias that the architecture does not have"

    @property
    def formula(self) -> str:
        """The other's."""
        return self.scheme.formula

    @property
    def packing(self) -> str:
        """The other's."""
        return self.scheme.packing

    def parts(self, name: str) -> tuple[str, ...]:
        """The other's, then the bias."""
        return *self.scheme.parts(name), f"{module_of(name)}.bias"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same; the bias is as long as the weight has outputs, and no parameter."""
        return *self.scheme.expand(stored), _bias(stored)

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The other's.

        Raises:
            NotImplementedByWeightscope: the bias is not zero.
        """
        bias = read_optional(Stored(name=f"{module_of(name)}.bias", shape=(), parts=(), opaque=True), raw)
        if bias is not None and bool(bias.any()):
            raise NotImplementedByWeightscope(
                f"{module_of(name)}.bias is not zero, and the architecture has no bias there",
                hint="check that config.json belongs to this model",
            )
        return self.scheme.read(name, raw)


def _bias(stored: Stored) -> Stored:
    return replace(
        stored,
        name=f"{module_of(stored.name)}.bias",
        shape=stored.shape[1:] if stored.transposed else stored.shape[:1],
        kind=Kind.SCALE,
        optional=True,
        dtypes=SCALES,
        bounds=ZEROS,
        transposed=False,
    )
