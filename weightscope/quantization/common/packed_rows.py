"""4-bit integers, two rows a byte, with a scale for each group of columns: ModelOpt's INT4 (`pack_int4_in_uint8`).

W4A8 rounds what they stand for to FP8, as TensorRT-LLM does before it multiplies (`W4A8_AWQ_LinearMethod`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.quantization.common.beside import BYTES, ONE, activation_scales, scales
from weightscope.quantization.common.float8 import to_float32
from weightscope.quantization.common.fp4 import scaled
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.packed_fp4 import MULTIPLIED
from weightscope.quantization.common.slabs import by_slabs
from weightscope.sizes import Size
from weightscope.storage.base import Stored

if TYPE_CHECKING:
    import torch

SIGN = 8
# The largest number of FP8 (E4M3).
MOST = 448.0


class PackedRows(msgspec.Struct, frozen=True, kw_only=True):
    """A weight [R, C] as bytes [R/2, C] and scales [R, C/group]; `rounded` to FP8 with one more scale in W4A8."""

    name: str
    group: int
    rounded: bool = False
    rowwise: bool = False
    packing: str = "two signed 4-bit codes per byte, of two rows, lower half first"

    @property
    def words(self) -> str:
        """Width and size of the groups."""
        return f"INT4 in groups of {self.group}{', rounded to FP8' if self.rounded else ''}"

    @property
    def formula(self) -> str:
        """Code times scale, and how that is rounded."""
        product = "q · weight_scale of its group"
        return f"w = e4m3({product} / weight_scale_2) · weight_scale_2" if self.rounded else f"w = {product}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The bytes, then the groups' scales, then that of FP8."""
        return (name, f"{name}_scale", f"{name}_scale_2")[: 3 if self.rounded else 2]

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same with shapes, then the scale of activations."""
        rows, columns = stored.shape
        half = Size(-(-rows // 2), f"{rows.text}/2", rows.keys)
        one = scales(stored, "weight_scale_2", ONE, bounds=MULTIPLIED, also=((),))
        return (
            replace(stored, shape=(half, columns), dtypes=BYTES),
            scales(stored, "weight_scale", Grain(1, self.group).shape(stored.shape)),
            *((one,) if self.rounded else ()),
            *activation_scales(stored, "input_scale"),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Code · scale, rounded to FP8 or not."""
        import torch

        packed, factors, *whole = (raw(part) for part in self.parts(name))
        # Codes from -8 to 7 in two's complement: with the sign's bit turned they are 8 too large.
        codes = torch.stack((packed & 0x0F, packed >> 4), dim=1).flatten(0, 1) ^ SIGN

        def fill(rows: slice, out: torch.Tensor) -> None:
            out.copy_(codes[rows]).sub_(SIGN)
            scaled(out, factors[rows].float())
            for scale in whole:
                rounded = out.div_(scale).clamp_(-MOST, MOST).to(torch.float8_e4m3fn)
                out.copy_(to_float32(rounded)).mul_(scale)

        return by_slabs(codes.shape, codes.device, fill)
