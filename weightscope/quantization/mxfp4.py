"""MXFP4: 4-bit floats in blocks of 32, each with one 8-bit exponent, as gpt-oss and DeepSeek-V4 are published.

Format: OCP Microscaling Formats (MX) 1.0, section 5.3: E2M1 elements, E8M0 scales. Of gpt-oss only stacked experts are
packed; a weight (experts, in, out) lies as `_blocks` (experts, out, in/32, 16) and `_scales` (experts, out, in/32). Of
DeepSeek-V4 each expert's matrix is, as `weight` (out, in/2) of type I8 and `scale` (out, in/32) of type F8_E8M0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.quantization.common.beside import EXPONENTS
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.fp4 import e2m1, e8m0
from weightscope.quantization.common.method import Told, module_of
from weightscope.quantization.common.packed_fp4 import FP4_EXPERTS
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
    packing: str = "two 4-bit codes per byte, lower half first"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed elements, then their exponents."""
        return f"{module_of(name)}_blocks", f"{module_of(name)}_scales"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Two elements a byte, and an exponent a block."""
        experts, columns, rows = stored.shape
        groups = Size(columns // BLOCK, f"{columns.factor}/{BLOCK}", columns.keys)
        blocks, scales = self.parts(stored.name)
        return (
            replace(stored, name=blocks, shape=(experts, rows, groups, Size(BLOCK // 2)), dtypes=BYTES),
            replace(
                stored, name=scales, shape=(experts, rows, groups), kind=Kind.SCALE, dtypes=BYTES, bounds=EXPONENTS
            ),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Element · 2^(exponent - 127), the lower half of a byte first."""
        blocks, scales = (raw(part) for part in self.parts(name))
        weight = e2m1(blocks.flatten(-2), e8m0(scales))
        return weight.transpose(1, 2)


PACKED = PackedMXFP4()


def recognize(
    found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: Mapping[str, object]
) -> Told | None:
    """Two codes a byte, and an exponent for each 32: stacked as gpt-oss has them, or one by one as DeepSeek-V4."""
    del settings
    blocks, scales = found.get("_blocks"), found.get("_scales")
    if blocks is not None and scales is not None:
        *rows, groups, width = blocks.shape or (0,)
        if (
            len(rows) != 2
            or width * 2 != BLOCK
            or scales.shape != (*rows, groups)
            or {blocks.dtype, scales.dtype} != BYTES
        ):
            return None
        told = Told(scheme=PACKED, shape=(rows[0], groups * BLOCK, rows[1]))
        return told if shape in (None, told.shape) else None
    weight, scale = found.get(".weight"), found.get(".scale")
    if weight is None or scale is None or (weight.dtype, scale.dtype) != ("I8", "F8_E8M0") or len(weight.shape) != 2:
        return None
    told = Told(scheme=FP4_EXPERTS, shape=(weight.shape[0], 2 * weight.shape[1]))
    fits = scale.shape == (told.shape[0], told.shape[1] // BLOCK) and told.shape[1] % BLOCK == 0
    return told if fits and shape in (None, told.shape) else None
