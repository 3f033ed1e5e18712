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
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Stored

if TYPE_CHECKING:
    import torch

# DeepSeek keeps these in BF16; transformers' fp8 quantizer leaves them out as well.
KEPT = {Role.TOKEN_EMBEDDING, Role.POSITION_EMBEDDING, Role.LM_HEAD, Role.ROUTER, Role.MTP_PROJ, Role.INDEX_WEIGHT}
PATTERN_CHARACTERS = set("*+?[](){}|^$\\:")


class BlockFP8(msgspec.Struct, frozen=True, kw_only=True):
    """Blocks of `rows` × `columns` weights share a scale; modules in `excluded` are stored as they are."""

    rows: int
    columns: int
    excluded: tuple[str, ...] = ()
    name: str = "fp8"
    rowwise: bool = False

    @classmethod
    def of(cls, config: Config, settings: dict[str, Any]) -> BlockFP8:
        """From a `quantization_config` with `quant_method` fp8 and a `weight_block_size`."""
        block = settings["weight_block_size"]
        if not (isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block)):
            raise config.error(f"weight_block_size is {block!r:.60}, not two positive numbers")
        excluded = settings.get("modules_to_not_convert") or ()
        if not isinstance(excluded, list | tuple) or not all(isinstance(module, str) and module for module in excluded):
            raise config.error("modules_to_not_convert is not a list of module names")
        for module in excluded:
            if PATTERN_CHARACTERS & set(module):
                raise UndeclaredError(
                    f"the pattern {module!r} in modules_to_not_convert is not implemented", where=config.source
                )
        return cls(rows=block[0], columns=block[1], excluded=tuple(excluded))

    def applies(self, stored: Stored) -> bool:
        """Matrices of linear layers, not what lies beside them without a module (Mamba's A)."""
        matrix = stored.kind is Kind.WEIGHT and len(stored.shape) == 2 and stored.name.endswith(".weight")
        return matrix and stored.parts[0][0] not in KEPT

    def converts(self, module: str) -> bool:
        """An excluded name stands for itself, all below it, and as a suffix (transformers' `should_convert_module`)."""
        if not self.excluded:
            return True
        below = any(module == name or module.startswith(f"{name}.") for name in self.excluded)
        return not below and not module.endswith(self.excluded)

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
        )
        return stored, scale

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Weight · scale, each scale repeated over its block."""
        weight = raw(name).float()
        scale = raw(f"{name}_scale_inv").float()
        # Only the columns' scales are spread out: a block of rows shares a row of them.
        spread = scale.repeat_interleave(self.columns, dim=1)[:, : weight.shape[1]]
        for block, row in enumerate(spread):
            weight[block * self.rows : (block + 1) * self.rows] *= row
        return weight


def _blocks(size: Size, block: int) -> Size:
    return Size(-(-size // block), f"⌈{size.text}/{block}⌉", size.keys)
