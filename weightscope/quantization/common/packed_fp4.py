"""4-bit floats (E2M1), two a byte, with a scale for each group of columns and perhaps one for the whole weight.

NVFP4 has groups of 16 whose scales are 8-bit floats (E4M3), and one float32 scale that ModelOpt multiplies by and
compressed-tensors divides by. MXFP4 has groups of 32 whose scales are exponents (E8M0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.errors import CheckpointError
from weightscope.quantization.common.beside import (
    BYTES,
    EXPONENT_DTYPES,
    EXPONENTS,
    ONE,
    WEIGHT_SCALE,
    activation_scales,
    beside,
    scales,
)
from weightscope.quantization.common.fp4 import e2m1
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.scaled import numbers
from weightscope.sizes import Size
from weightscope.storage.base import Bounds, Stored

if TYPE_CHECKING:
    import torch

E4M3 = frozenset({"F8_E4M3"})
F32 = frozenset({"F32"})
# E2M1 reaches to 6 and E4M3 to 448, so a whole scale is the largest weight over their product, 2,688.
MULTIPLIED = Bounds(least=0, most=1.0, zero=False, words="global scales", why="it seems to be the inverse")
DIVIDED = Bounds(least=1.0, words="global scales", why="it seems to be the inverse")


class PackedFP4(msgspec.Struct, frozen=True, kw_only=True):
    """A weight [..., R, C] as bytes [..., R, C/2] and scales [..., R, C/group].

    `packed`, `scale`, `whole` and `activations` are the last parts of names; `whole` is the scale of all, which
    `divides` or is multiplied. `exponents` are scales that are bytes of E8M0, `elements` the types of packed bytes.
    """

    name: str
    title: str
    group: int
    packed: str = "weight_packed"
    scale: str = "weight_scale"
    exponents: bool = False
    whole: str = ""
    divides: bool = False
    elements: frozenset[str] = BYTES
    activations: tuple[str, ...] = ()
    rowwise: bool = True
    packing: str = "two 4-bit codes (E2M1) per byte along the columns, lower half first"

    @property
    def words(self) -> str:
        """Format and size of the groups."""
        return f"{self.title} in groups of {self.group}"

    @property
    def formula(self) -> str:
        """Code times the group's scale, times or over the scale of all."""
        scale = f"2^({self.scale} - 127)" if self.exponents else self.scale
        whole = f" {'/' if self.divides else '·'} {self.whole}" if self.whole else ""
        return f"w = e2m1(code) · {scale} of its group{whole}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The bytes, the groups' scales, the scale of all."""
        return tuple(beside(name, leaf) for leaf in (self.packed, self.scale, self.whole) if leaf)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same with shapes, then the scales of activations."""
        *experts, rows, columns = stored.shape
        half = Size(-(-columns // 2), f"{columns.factor}/2", columns.keys)
        found = [
            replace(stored, name=beside(stored.name, self.packed), shape=(*experts, rows, half), dtypes=self.elements),
            scales(
                stored,
                self.scale,
                Grain(1, self.group).shape(stored.shape),
                dtypes=EXPONENT_DTYPES if self.exponents else E4M3,
                bounds=EXPONENTS if self.exponents else WEIGHT_SCALE,
            ),
        ]
        if self.whole:
            bounds = DIVIDED if self.divides else MULTIPLIED
            one = tuple(experts) or ONE
            also = ((), (*experts, Size(1)))
            found.append(scales(stored, self.whole, one, dtypes=F32, bounds=bounds, also=also))
        return *found, *activation_scales(stored, *self.activations)

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """E2M1 · scale, the scale first multiplied by the scale of all, or divided, as the writers do it.

        Raises:
            CheckpointError: the scales do not fit the weight.
        """
        import torch

        packed, scale, *whole = (raw(part) for part in self.parts(name))
        factors = numbers(scale)
        if whole:
            one = whole[0].float().reshape(-1, *(1,) * (factors.dim() - 1))
            factors = factors / one if self.divides else factors * one
        columns, groups = packed.shape[-1] * 2, factors.shape[-1]
        if factors.shape[:-1] != packed.shape[:-1] or groups != -(-columns // self.group):
            why = f"{list(packed.shape)} has scales of {list(scale.shape)}, not one for {self.group} codes"
            raise CheckpointError(why, where=beside(name, self.packed), code="quantization-mismatch")
        # A last group may be smaller: bytes that fill it up are cut off again.
        short = groups * self.group - columns
        weight = e2m1(torch.nn.functional.pad(packed, (0, short // 2)) if short else packed, factors)
        return weight[..., :columns] if short else weight


# DeepSeek-V4's experts, beside matrices in FP8 of the same model.
FP4_EXPERTS = PackedFP4(
    name="mxfp4", title="MXFP4", group=32, packed="weight", scale="scale", exponents=True, elements=frozenset({"I8"})
)
