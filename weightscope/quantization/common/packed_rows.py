"""4-bit integers, two rows a byte, with a scale for each group of columns: ModelOpt's INT4 (`pack_int4_in_uint8`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.quantization.common.beside import BYTES, activation_scales, scales
from weightscope.quantization.common.fp4 import scaled
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.slabs import by_slabs
from weightscope.sizes import Size
from weightscope.storage.base import Stored

if TYPE_CHECKING:
    import torch

SIGN = 8


class PackedRows(msgspec.Struct, frozen=True, kw_only=True):
    """A weight [R, C] as bytes [R/2, C] and scales [R, C/group]."""

    name: str
    group: int
    rowwise: bool = False
    formula: str = "w = q · weight_scale of its group"
    packing: str = "two signed 4-bit codes per byte, of two rows, lower half first"

    @property
    def words(self) -> str:
        """Width and size of the groups."""
        return f"INT4 in groups of {self.group}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The bytes, then the scales."""
        return name, f"{name}_scale"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same with shapes, then the scale of activations."""
        rows, columns = stored.shape
        half = Size(-(-rows // 2), f"{rows.text}/2", rows.keys)
        return (
            replace(stored, shape=(half, columns), dtypes=BYTES),
            scales(stored, "weight_scale", Grain(1, self.group).shape(stored.shape)),
            *activation_scales(stored, "input_scale"),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Code · scale."""
        import torch

        packed, factors = (raw(part) for part in self.parts(name))
        # Codes from -8 to 7 in two's complement: with the sign's bit turned they are 8 too large.
        codes = torch.stack((packed & 0x0F, packed >> 4), dim=1).flatten(0, 1) ^ SIGN

        def fill(rows: slice, out: torch.Tensor) -> None:
            out.copy_(codes[rows]).sub_(SIGN)
            scaled(out, factors[rows].float())

        return by_slabs(codes.shape, codes.device, fill)
