"""Experts stacked into one parameter (E, in, out) as ModelOpt stores it: `…_weight_scale` and the like beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.quantization.common.beside import ACTIVATION_SCALE, BYTES, ONE, WEIGHT_SCALE
from weightscope.quantization.common.float8 import to_float32
from weightscope.quantization.common.fp4 import e2m1
from weightscope.quantization.common.method import SCALES
from weightscope.quantization.common.packed_fp4 import E4M3, F32, MULTIPLIED
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch


class Stacks(msgspec.Struct, frozen=True, kw_only=True):
    """FP8 with one scale, or one an expert; with a `group`, NVFP4 packed along what experts see of x."""

    name: str
    group: int = 0
    rowwise: bool = True

    @property
    def words(self) -> str:
        """Format, and what shares a scale."""
        return f"NVFP4 in groups of {self.group}" if self.group else "FP8 with one scale"

    @property
    def formula(self) -> str:
        """Code times its scales."""
        return "w = e2m1(code) · weight_scale of its group · weight_scale_2" if self.group else "w = q · weight_scale"

    @property
    def packing(self) -> str:
        """How two codes share a byte."""
        return "two 4-bit codes (E2M1) per byte along the rows, lower half first" if self.group else ""

    def parts(self, name: str) -> tuple[str, ...]:
        """The weight, its scales, and the scale of all."""
        return (name, f"{name}_weight_scale", f"{name}_weight_scale_2")[: 3 if self.group else 2]

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same with shapes, then the scale of activations."""
        experts, rows, columns = stored.shape
        if not self.group:
            found = [replace(stored, dtypes=E4M3), self._single(stored, "weight_scale", SCALES, WEIGHT_SCALE)]
        else:
            groups = Size(-(-rows // self.group), f"{rows.text}/{self.group}", rows.keys)
            half = Size(-(-rows // 2), f"{rows.text}/2", rows.keys)
            scale = self._single(stored, "weight_scale", E4M3, WEIGHT_SCALE)
            found = [
                replace(stored, shape=(experts, half, columns), dtypes=BYTES),
                replace(scale, shape=(experts, groups, columns), also=()),
                self._single(stored, "weight_scale_2", F32, MULTIPLIED),
            ]
        return *found, replace(self._single(stored, "input_scale", SCALES, ACTIVATION_SCALE), optional=True)

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Code · scale, in the orientation in which it is stored."""
        weight, scale, *whole = (raw(part) for part in self.parts(name))
        if not self.group:
            return to_float32(weight) * _of_each(scale)
        factors = scale.float() * _of_each(whole[0])
        packed = weight.transpose(1, 2).contiguous()
        return e2m1(packed, factors.transpose(1, 2).contiguous()).transpose(1, 2)

    def _single(self, stored: Stored, leaf: str, dtypes: frozenset[str], bounds: Bounds) -> Stored:
        """One number, or one an expert."""
        experts = stored.shape[0]
        also: tuple[Shape, ...] = ((), (experts,), (experts, Size(1)), (experts, Size(1), Size(1)))
        name = f"{stored.name}_{leaf}"
        return replace(stored, name=name, shape=ONE, kind=Kind.SCALE, dtypes=dtypes, bounds=bounds, also=also)


def _of_each(scale: torch.Tensor) -> torch.Tensor:
    """One scale, or one an expert, to be multiplied with (E, rows, columns)."""
    return scale.float().reshape(-1, 1, 1)
