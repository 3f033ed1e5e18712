"""MLX's affine quantization: `bits`-wide integers packed into 32-bit words, a scale and a bias for each group.

Format: `mlx.core.quantize` (https://ml-explore.github.io/mlx). A group is `group_size` consecutive columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.config import Config
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.method import SCALES, is_matrix
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Stored

if TYPE_CHECKING:
    import torch

BITS = (2, 4, 8)
WORDS = frozenset({"U32"})


def method(config: Config, settings: dict[str, Any]) -> MLX:
    """From MLX's `quantization`: settings for all modules, and under a module's name its own, or false for plain.

    Raises:
        ConfigError: settings of a module that are neither an object nor true or false.
    """
    del config
    modules = {name: value for name, value in settings.items() if isinstance(value, dict | bool)}
    common = {key: value for key, value in settings.items() if key not in modules}
    own = {name: _affine(_settings(common, value)) if value else None for name, value in modules.items()}
    refused = [_settings(common, value) for name, value in modules.items() if value and own[name] is None]
    default = _affine(common)
    refused += [] if default else [common]
    return MLX(
        default=default,
        modules=own,
        named=Excluded(names=frozenset(own), suffixes=frozenset(own)),
        missing=f"quantization 'mlx' with {_words(refused[0])} is not implemented" if refused else "",
    )


def _settings(common: dict[str, Any], value: object) -> dict[str, Any]:
    return common | value if isinstance(value, dict) else common


def _affine(settings: dict[str, Any]) -> MLXAffine | None:
    """The scheme of these settings, None where it is not implemented."""
    bits, group_size, mode = settings.get("bits"), settings.get("group_size"), settings.get("mode", "affine")
    if bits not in BITS or type(group_size) is not int or group_size < 1 or mode != "affine":
        return None
    return MLXAffine(bits=int(bits), group_size=group_size)


def _words(settings: dict[str, Any]) -> str:
    mode = settings.get("mode", "affine")
    bits = f"{settings.get('bits')!r:.20} bits in groups of {settings.get('group_size')!r:.20}"
    return bits if mode == "affine" else f"mode {mode!r:.40}"


class MLX(msgspec.Struct, frozen=True, kw_only=True):
    """Every matrix, embeddings and head included; `modules` have settings of their own, None is plain.

    `named` are the names of these modules, to tell which templates they single out. MLX leaves a module plain where
    the group size does not divide its columns, and writers may leave out others; the config does not say which.
    """

    default: MLXAffine | None
    modules: Mapping[str, MLXAffine | None]
    named: Excluded
    name: str = "mlx"
    missing: str = ""
    silent: bool = True

    def scheme(self, stored: Stored, module: str) -> MLXAffine | None:
        """The module's own settings, else those of all."""
        if not is_matrix(stored):
            return None
        return self.modules.get(module, self.default)

    def singles_out(self, template: str) -> bool:
        """Whether single experts have settings of their own."""
        return self.named.singles_out(template)


class MLXAffine(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix as `weight` (packed), `scales` and `biases`."""

    bits: int
    group_size: int
    name: str = "mlx"
    rowwise: bool = True
    formula: str = "w = q · scale + bias"

    @property
    def packing(self) -> str:
        """Codes in 32-bit words."""
        return f"{self.bits}-bit codes in 32-bit words along a row, the lowest bits first"

    @property
    def words(self) -> str:
        """Width and size of the groups."""
        return f"MLX, {self.bits} bits in groups of {self.group_size}"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed words, scales, biases."""
        module = name.removesuffix(".weight")
        return name, f"{module}.scales", f"{module}.biases"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Packed weight, scales, biases."""
        rows, columns = stored.shape
        packed = Size(columns * self.bits // 32, f"{columns.text}·{self.bits}/32", columns.keys)
        groups = Size(columns // self.group_size, f"{columns.text}/{self.group_size}", columns.keys)
        sides = tuple(
            replace(stored, name=name, shape=(rows, groups), kind=Kind.SCALE, dtypes=SCALES)
            for name in self.parts(stored.name)[1:]
        )
        return replace(stored, shape=(rows, packed), dtypes=WORDS), *sides

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Q · scale + bias, the lowest bits of a word first."""
        import torch

        packed, scales, biases = (raw(part) for part in self.parts(name))
        words = packed.view(torch.int32)
        shifts = torch.arange(0, 32, self.bits, dtype=torch.int32, device=words.device)
        integers = (words.unsqueeze(-1) >> shifts) & ((1 << self.bits) - 1)
        grouped = integers.flatten(-2).reshape(words.shape[0], -1, self.group_size).float()
        weight: torch.Tensor = (grouped * scales.float().unsqueeze(-1) + biases.float().unsqueeze(-1)).flatten(-2)
        return weight
