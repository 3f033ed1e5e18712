"""Weights that are elements of their own, 8-bit floats or integers, with scales and perhaps zero points beside them.

DeepSeek, transformers, fbgemm, Mistral, compressed-tensors and ModelOpt store FP8 like this, compressed-tensors and
Quark int8, each with names and a grain of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.errors import CheckpointError
from weightscope.quantization.common.beside import (
    EXPONENT_DTYPES,
    EXPONENTS,
    WEIGHT_SCALE,
    activation_scales,
    beside,
    scales,
)
from weightscope.quantization.common.fp4 import e8m0
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.method import SCALES
from weightscope.sizes import Size
from weightscope.storage.base import Stored

if TYPE_CHECKING:
    import torch

FLOAT8 = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
INT8 = frozenset({"I8"})


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """A weight in its own shape, and beside it a scale for each `grain`.

    `scale`, `zero` and `activations` are the last parts of names (`weight_scale`); `elements` and `scales` are element
    types. Scales of type U8 are exponents (E8M0). `name` is the method's, `title` says what an element is. Scales of
    blocks may be `spaced`: a 1 behind each dimension (ModelOpt).
    """

    name: str
    title: str
    grain: Grain
    elements: frozenset[str] = FLOAT8
    scale: str = "weight_scale"
    scales: frozenset[str] = SCALES
    zero: str = ""
    activations: tuple[str, ...] = ()
    packing: str = ""
    spaced: bool = False

    @property
    def rowwise(self) -> bool:
        """Whether a row's scales are a row of their own, or the whole weight's."""
        return self.grain.rowwise

    @property
    def words(self) -> str:
        """What an element is, and what shares a scale."""
        joint = "in" if self.grain.columns else "with"
        return f"{self.title} {joint} {self.grain.words}"

    @property
    def formula(self) -> str:
        """Code times scale, less the zero point where there is one."""
        codes = f"(q - {self.zero})" if self.zero else "q"
        scale = f"2^({self.scale} - 127)" if self.scales == EXPONENT_DTYPES else self.scale
        return f"w = {codes} · {scale}{self.grain.whose}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The weight, its scales, its zero points."""
        leaves = (self.scale, self.zero) if self.zero else (self.scale,)
        return name, *(beside(name, leaf) for leaf in leaves)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same with shapes, then the scales of activations."""
        shape, also = self.grain.shape(stored.shape), self.grain.other_shapes(stored.shape)
        if self.spaced:
            also = (*also, tuple(part for size in shape for part in (size, Size(1))))
        bounds = EXPONENTS if self.scales == EXPONENT_DTYPES else WEIGHT_SCALE
        found = [
            replace(stored, dtypes=self.elements),
            scales(stored, self.scale, shape, dtypes=self.scales, bounds=bounds, also=also),
        ]
        if self.zero:
            found.append(scales(stored, self.zero, shape, dtypes=self.elements, bounds=None, also=also))
        return *found, *activation_scales(stored, *self.activations)

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Weight · scale, or (weight - zero point) · scale.

        Raises:
            CheckpointError: the scales do not fit the weight.
        """
        weight, scale, *zeros = (raw(part) for part in self.parts(name))
        factors = numbers(scale)
        if self.spaced and factors.dim() == 2 * weight.dim():
            factors = factors[:, 0, :, 0]
        try:
            return self.grain.multiplied(weight, factors, *zeros)
        except ValueError as error:
            raise CheckpointError(str(error), where=beside(name, self.scale), code="quantization-mismatch") from None


def numbers(scale: torch.Tensor) -> torch.Tensor:
    """Scales in float32; bytes, and 8-bit exponents, are powers of two."""
    import torch

    return e8m0(scale) if scale.dtype in (torch.uint8, torch.float8_e8m0fnu) else scale.float()
