"""MXFP4 as gpt-oss is published: 4-bit floats in blocks of 32, each with one 8-bit exponent.

Format: OCP Microscaling Formats (MX) 1.0, section 5.3: E2M1 elements, E8M0 scales. Only stacked experts are packed; a
weight (experts, in, out) lies as `_blocks` (experts, out, in/32, 16) and `_scales` (experts, out, in/32).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.config import Config
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.fp4 import e2m1, e8m0
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Stored

if TYPE_CHECKING:
    import torch

BLOCK = 32
BYTES = frozenset({"U8"})


def method(config: Config, settings: dict[str, Any]) -> MXFP4:
    """From a `quantization_config` with `quant_method` mxfp4.

    Raises:
        ConfigError: no list of modules.
    """
    return MXFP4(excluded=Excluded.of(config, "modules_to_not_convert", settings.get("modules_to_not_convert")))


class MXFP4(msgspec.Struct, frozen=True, kw_only=True):
    """All stacked experts, except those in `excluded`, and nothing else."""

    excluded: Excluded = Excluded()
    name: str = "mxfp4"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> PackedMXFP4 | None:
        """Packed, for tensors of three dimensions; the module of a stacked weight is what holds the experts."""
        if stored.kind is not Kind.WEIGHT or len(stored.shape) != 3 or stored.name.endswith(".weight"):
            return None
        return None if self.excluded.holds(module.rpartition(".")[0]) else PACKED

    def singles_out(self, template: str) -> bool:
        """No expert is a module of its own."""
        del template
        return False


class PackedMXFP4(msgspec.Struct, frozen=True, kw_only=True):
    """A stacked weight as `_blocks` and `_scales`."""

    name: str = "mxfp4"
    rowwise: bool = True
    words: str = f"MXFP4 in blocks of {BLOCK}"
    formula: str = "w = e2m1(code) · 2^(scale - 127)"
    packing: str = "two codes a byte, the lower half first"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed elements, then their exponents."""
        return f"{name}_blocks", f"{name}_scales"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Two elements a byte, and an exponent a block."""
        experts, columns, rows = stored.shape
        groups = Size(columns // BLOCK, f"{columns.factor}/{BLOCK}", columns.keys)
        blocks, scales = self.parts(stored.name)
        return (
            replace(stored, name=blocks, shape=(experts, rows, groups, Size(BLOCK // 2)), dtypes=BYTES),
            replace(stored, name=scales, shape=(experts, rows, groups), kind=Kind.SCALE, dtypes=BYTES),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Element · 2^(exponent - 127), the lower half of a byte first."""
        blocks, scales = (raw(part) for part in self.parts(name))
        weight = e2m1(blocks.flatten(-2), e8m0(scales))
        return weight.transpose(1, 2)


PACKED = PackedMXFP4()
