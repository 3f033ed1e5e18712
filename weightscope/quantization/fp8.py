"""DeepSeek-V3's FP8: E4M3 weights with one float32 scale for each block (arXiv 2412.19437, section 3.3).

The published names are `weight` and `weight_scale_inv`; despite its name the scale is multiplied, not divided by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.float8 import scaled_by_blocks
from weightscope.quantization.common.method import SCALES, is_matrix
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Stored

if TYPE_CHECKING:
    import torch

# DeepSeek keeps these in BF16; transformers' fp8 quantizer leaves them out as well.
PLAIN_ROLES = {
    Role.TOKEN_EMBEDDING,
    Role.POSITION_EMBEDDING,
    Role.LM_HEAD,
    Role.ROUTER,
    Role.MTP_PROJ,
    Role.INDEX_WEIGHT,
}
WEIGHTS = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
# Scales that are powers of two are published as float32 or as the exponents alone.
BLOCK_SCALES = SCALES | {"F8_E8M0"}


def method(config: Config, settings: dict[str, Any]) -> FP8:
    """From a `quantization_config` with `quant_method` fp8.

    Raises:
        ConfigError: no sizes of blocks, or no list of modules.
        UndeclaredError: other scales than one for each block.
    """
    block = settings.get("weight_block_size")
    if not block:
        raise UndeclaredError("quantization 'fp8' without weight_block_size is not implemented", where=config.source)
    if not (isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block)):
        raise config.error(f"weight_block_size is {block!r:.60}, not two positive numbers")
    excluded = Excluded.of(config, "modules_to_not_convert", settings.get("modules_to_not_convert"))
    return FP8(blocks=BlockFP8(rows=block[0], columns=block[1]), excluded=excluded)


class FP8(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of linear layers, except those in `excluded`."""

    blocks: BlockFP8
    excluded: Excluded
    name: str = "fp8"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> BlockFP8 | None:
        """Blocks, for every matrix that is not left out."""
        covered = is_matrix(stored) and stored.parts[0][0] not in PLAIN_ROLES
        return self.blocks if covered and not self.excluded.holds(module) else None

    def singles_out(self, template: str) -> bool:
        """Whether the excluded modules may be single experts."""
        return self.excluded.singles_out(template)


class BlockFP8(msgspec.Struct, frozen=True, kw_only=True):
    """Blocks of `rows` × `columns` weights share a scale."""

    rows: int
    columns: int
    name: str = "fp8"
    rowwise: bool = False
    formula: str = "w = q · weight_scale_inv of its block"
    packing: str = ""

    @property
    def words(self) -> str:
        """The size of the blocks."""
        return f"FP8 in blocks of {self.rows} × {self.columns}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The weight, then its scales."""
        return name, f"{name}_scale_inv"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The weight in its own shape, and a scale for each block, the last ones smaller."""
        rows, columns = stored.shape
        scale = replace(
            stored,
            name=f"{stored.name}_scale_inv",
            shape=(_blocks(rows, self.rows), _blocks(columns, self.columns)),
            kind=Kind.SCALE,
            dtypes=BLOCK_SCALES,
        )
        return replace(stored, dtypes=WEIGHTS), scale

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Weight · scale, each scale repeated over its block."""
        return scaled_by_blocks(raw(name), raw(f"{name}_scale_inv"), self.rows, self.columns)


def _blocks(size: Size, block: int) -> Size:
    return Size(-(-size // block), f"⌈{size.text}/{block}⌉", size.keys)
