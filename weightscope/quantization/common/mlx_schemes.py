"""How MLX stores a matrix [R, C], or a stack of them [E, R, C]: `weight` in 32-bit words, `scales`, maybe `biases`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.quantization.common.bits import unpack
from weightscope.quantization.common.float8 import to_float32
from weightscope.quantization.common.fp4 import e2m1, e8m0, scaled
from weightscope.quantization.common.method import SCALES, module_of
from weightscope.quantization.common.slabs import by_slabs, rows_of
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

BITS = (1, 2, 3, 4, 5, 6, 8)
# Modes whose elements are floats: bits of an element, and the size of a group.
MODES = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
WORDS, BYTES = frozenset({"U32"}), frozenset({"U8"})
# The largest E2M1 times the largest E4M3: MLX divides a tensor's scale by it.
LARGEST = 6.0 * 448.0
NO_ZERO = Bounds(zero=False, words="scales")
FINITE = Bounds(words="biases")
EXPONENTS = Bounds(most=254, words="exponents", why="255 stands for NaN")
E4M3_BYTES = Bounds(most=0x7E, words="scales (E4M3 as bytes)", why="127 is NaN, and more is negative or NaN")
TENSOR_SCALES = Bounds(least=0, zero=False, words="global scales")


class MLXAffine(msgspec.Struct, frozen=True, kw_only=True):
    """Integers of `bits`, in groups with a scale and a bias."""

    bits: int
    group_size: int
    name: str = "mlx"
    rowwise: bool = True
    formula: str = "w = q · scale + bias"

    @property
    def packing(self) -> str:
        """Codes in 32-bit words."""
        across = "" if 32 % self.bits == 0 else "; a code may lie across two words"
        return f"{self.bits}-bit codes in 32-bit words along a row, lowest bits first{across}"

    @property
    def words(self) -> str:
        """Width and size of the groups."""
        return f"MLX, {self.bits} bits in groups of {self.group_size}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed words, scales, biases."""
        module = module_of(name)
        return name, f"{module}.scales", f"{module}.biases"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Packed weight, scales, biases."""
        _, scales, biases = self.parts(stored.name)
        side = replace(
            stored, shape=_grouped(stored.shape, self.group_size), kind=Kind.SCALE, dtypes=SCALES, bounds=NO_ZERO
        )
        return (
            replace(stored, shape=_packed(stored.shape, self.bits), dtypes=WORDS),
            replace(side, name=scales),
            replace(side, name=biases, bounds=FINITE),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Q · scale + bias, the lowest bits of a word first."""
        packed, scales, biases = (raw(part) for part in self.parts(name))
        codes, factors, offsets = rows_of(packed), rows_of(scales).float(), rows_of(biases).float()

        def fill(rows: slice, out: torch.Tensor) -> None:
            out.copy_(unpack(codes[rows], self.bits))
            scaled(out, factors[rows])
            out.unflatten(-1, (-1, self.group_size)).add_(offsets[rows].unsqueeze(-1))  # type: ignore[no-untyped-call]

        return by_slabs((*packed.shape[:-1], packed.shape[-1] * 32 // self.bits), packed.device, fill)


class MLXFloat(msgspec.Struct, frozen=True, kw_only=True):
    """Floats of 4 or 8 bits, in groups with a scale of 8 bits; with `tensor_scale` each expert has one more."""

    mode: str
    tensor_scale: bool = False
    name: str = "mlx"
    rowwise: bool = True

    @property
    def bits(self) -> int:
        """Of an element."""
        return MODES[self.mode][0]

    @property
    def group_size(self) -> int:
        """Columns that share a scale."""
        return MODES[self.mode][1]

    @property
    def formula(self) -> str:
        """Element and scale."""
        element = "e2m1(code)" if self.bits == 4 else "e4m3(code)"
        scale = "e4m3(scale)" if self.mode == "nvfp4" else "2^(scale - 127)"
        return f"w = {element} · {scale}" + f" · global_scale / {LARGEST:.0f}" * self.tensor_scale

    @property
    def packing(self) -> str:
        """Codes in 32-bit words."""
        return f"{self.bits}-bit floats in 32-bit words along a row, lowest bits first"

    @property
    def words(self) -> str:
        """The mode."""
        return f"MLX, {self.mode} in groups of {self.group_size}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed words, scales, and the experts' own scales."""
        module = module_of(name)
        return (name, f"{module}.scales", f"{module}.global_scale")[: 2 + self.tensor_scale]

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Packed weight, scales as bytes, a float32 for each expert."""
        weight, scales, *tensor_scale = self.parts(stored.name)
        side = replace(stored, kind=Kind.SCALE)
        return (
            replace(stored, name=weight, shape=_packed(stored.shape, self.bits), dtypes=WORDS),
            replace(
                side,
                name=scales,
                shape=_grouped(stored.shape, self.group_size),
                dtypes=BYTES,
                bounds=E4M3_BYTES if self.mode == "nvfp4" else EXPONENTS,
            ),
            *(
                replace(side, name=part, shape=stored.shape[:-2], dtypes=frozenset({"F32"}), bounds=TENSOR_SCALES)
                for part in tensor_scale
            ),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Element · scale, both decoded."""
        import torch

        packed, scales, *tensor_scale = (raw(part) for part in self.parts(name))
        codes = packed.contiguous().view(torch.uint8)
        factors = to_float32(scales.view(torch.float8_e4m3fn)) if self.mode == "nvfp4" else e8m0(scales)
        for part in tensor_scale:
            factors *= part[..., None, None] / LARGEST
        if self.bits == 4:
            return e2m1(codes, factors)
        return scaled(to_float32(codes.view(torch.float8_e4m3fn)), factors)


def _packed(shape: Shape, bits: int) -> Shape:
    *rows, columns = shape
    return (*rows, Size(columns * bits // 32, f"{columns.factor}·{bits}/32", columns.keys))


def _grouped(shape: Shape, group_size: int) -> Shape:
    *rows, columns = shape
    return (*rows, Size(columns // group_size, f"{columns.factor}/{group_size}", columns.keys))
