"""MLX's affine quantization: `bits`-wide integers packed into 32-bit words, a scale and a bias for each group.

Format: `mlx.core.quantize` (https://ml-explore.github.io/mlx). A group is `group_size` consecutive columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Stored

if TYPE_CHECKING:
    import torch


class MLXAffine(msgspec.Struct, frozen=True, kw_only=True):
    """Every matrix, embeddings and head included, as `weight` (packed), `scales` and `biases`."""

    bits: int
    group_size: int
    name: str = "mlx"
    rowwise: bool = True

    @classmethod
    def of(cls, config: Config, settings: dict[str, Any]) -> MLXAffine:
        """From MLX's `quantization` key; settings of single modules are refused."""
        bits, group_size = settings["bits"], settings["group_size"]
        if bits not in (2, 4, 8) or not isinstance(group_size, int) or group_size < 1:
            raise UndeclaredError(f"MLX quantization of {bits!r} bits is not implemented", where=config.source)
        if settings.get("mode", "affine") != "affine":
            raise UndeclaredError(f"MLX quantization mode {settings['mode']!r} is not implemented", where=config.source)
        if any(isinstance(value, dict | bool) for value in settings.values()):
            raise UndeclaredError("MLX quantization that differs by module is not implemented", where=config.source)
        return cls(bits=bits, group_size=group_size)

    def applies(self, stored: Stored) -> bool:
        """All matrices of modules; MLX quantizes tables as well."""
        return stored.kind is Kind.WEIGHT and len(stored.shape) == 2 and stored.name.endswith(".weight")

    def converts(self, module: str) -> bool:
        """No module is left out."""
        del module
        return True

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed words, scales, biases."""
        module = name.removesuffix(".weight")
        return name, f"{module}.scales", f"{module}.biases"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Packed weight, scales, biases."""
        rows, columns = stored.shape
        packed = Size(columns * self.bits // 32, f"{columns.text}·{self.bits}/32", columns.keys)
        groups = Size(columns // self.group_size, f"{columns.text}/{self.group_size}", columns.keys)
        module = stored.name.removesuffix(".weight")
        sides = tuple(
            replace(stored, name=f"{module}.{leaf}", shape=(rows, groups), kind=Kind.SCALE)
            for leaf in ("scales", "biases")
        )
        return replace(stored, shape=(rows, packed)), *sides

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Q · scale + bias, the lowest bits of a word first."""
        import torch

        words = raw(name).view(torch.int32)
        module = name.removesuffix(".weight")
        shifts = torch.arange(0, 32, self.bits, dtype=torch.int32, device=words.device)
        integers = (words.unsqueeze(-1) >> shifts) & ((1 << self.bits) - 1)
        grouped = integers.flatten(-2).reshape(words.shape[0], -1, self.group_size).float()
        scales, biases = (raw(f"{module}.{leaf}").float().unsqueeze(-1) for leaf in ("scales", "biases"))
        weight: torch.Tensor = (grouped * scales + biases).flatten(-2)
        return weight
