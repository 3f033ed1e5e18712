"""MLX's quantization: integers or small floats packed into 32-bit words, and a scale for each group of a row.

Format: `mlx.core.quantize` (https://ml-explore.github.io/mlx). A group is `group_size` consecutive columns of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.method import Told, is_matrix, is_stack
from weightscope.quantization.common.mlx_schemes import BITS, MODES, MLXAffine, MLXFloat
from weightscope.storage.base import Stored

MLXScheme = MLXAffine | MLXFloat
# What `affine` has where a module's own settings leave it out.
GROUP_SIZE, DEFAULT_BITS = 64, 4
KEYS = {"bits", "group_size", "mode", "global_scale"}


def method(config: Config, settings: dict[str, Any]) -> MLX:
    """From MLX's `quantization`: settings for all modules, and under a module's name its own, or false for plain."""
    del config
    modules = {name: value for name, value in settings.items() if isinstance(value, dict | bool) and name not in KEYS}
    common = {key: value for key, value in settings.items() if key not in modules}
    default = _scheme(common)
    own = {name: _own(common, value) if isinstance(value, dict) else default for name, value in modules.items()}
    own |= {name: None for name, value in modules.items() if value is False}
    refused = [value for name, value in modules.items() if isinstance(value, dict) and own[name] is None]
    refused += [] if default else [common]
    return MLX(
        default=default,
        modules=own,
        named=Excluded(names=frozenset(own), suffixes=frozenset(own)),
        missing=f"quantization 'mlx' with {_words(refused[0])} is not implemented" if refused else "",
    )


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: dict[str, Any]) -> Told | None:
    """By the sizes of words and scales: they fit one width where the number of columns or the settings are known."""
    weight, scales = found.get(".weight"), found.get(".scales")
    if weight is None or scales is None or weight.dtype != "U32" or not weight.shape or not scales.shape:
        return None
    words, groups = weight.shape[-1], scales.shape[-1]
    if weight.shape[:-1] != scales.shape[:-1] or not groups:
        return None
    tensor_scale = ".global_scale" in found
    if scales.dtype == "U8":
        fitting: list[MLXScheme] = [
            MLXFloat(mode=mode, tensor_scale=tensor_scale) for mode in MODES if _fits(*MODES[mode], words, groups)
        ]
    elif ".biases" in found:
        fitting = list(_affine(words, groups, shape, settings))
    else:
        return None
    told = [Told(scheme=s, shape=(*weight.shape[:-1], groups * s.group_size)) for s in dict.fromkeys(fitting)]
    told = [answer for answer in told if shape is None or answer.shape == shape]
    return told[0] if len(told) == 1 else None


def _affine(words: int, groups: int, shape: tuple[int, ...] | None, settings: dict[str, Any]) -> Iterator[MLXAffine]:
    """What of all widths, or without a known shape of those in the settings, fits."""
    if shape is not None:
        sizes = {shape[-1] // groups} if shape else set()
        candidates = [(bits, size) for bits in BITS for size in sizes]
    else:
        own = [value for value in settings.values() if isinstance(value, dict)]
        schemes = [_own(settings, value) for value in [settings, *own] if "bits" in value]
        candidates = [(s.bits, s.group_size) for s in schemes if isinstance(s, MLXAffine)]
    for bits, size in dict.fromkeys(candidates):
        if size > 0 and _fits(bits, size, words, groups):
            yield MLXAffine(bits=bits, group_size=size)


def _fits(bits: int, group_size: int, words: int, groups: int) -> bool:
    return words * 32 == groups * group_size * bits


def _own(common: dict[str, Any], settings: dict[str, Any]) -> MLXScheme | None:
    """The scheme of a module's own settings: the mode is affine unless they name another, whatever that of all is."""
    mode = settings.get("mode", "affine")
    kept = ("bits", "group_size") if mode == common.get("mode", "affine") else ()
    return _scheme({key: common[key] for key in kept if key in common} | settings)


def _scheme(settings: dict[str, Any]) -> MLXScheme | None:
    """The scheme of these settings, None where it is not implemented; what they leave out is the mode's."""
    mode = settings.get("mode", "affine")
    if mode == "affine":
        bits, size = settings.get("bits", DEFAULT_BITS), settings.get("group_size", GROUP_SIZE)
        sound = type(bits) is int and bits in BITS and type(size) is int and size > 0
        return MLXAffine(bits=bits, group_size=size) if sound else None
    if not isinstance(mode, str) or mode not in MODES:
        return None
    bits, size = MODES[mode]
    if settings.get("bits", bits) != bits or settings.get("group_size", size) != size:
        return None
    return MLXFloat(mode=mode, tensor_scale=settings.get("global_scale") is True)


def _words(settings: dict[str, Any]) -> str:
    mode = settings.get("mode", "affine")
    bits = f"{settings.get('bits')!r:.20} bits in groups of {settings.get('group_size')!r:.20}"
    return bits if mode == "affine" else f"mode {mode!r:.40} and {bits}"


class MLX(msgspec.Struct, frozen=True, kw_only=True):
    """Every matrix and stack of them, embeddings and head too; `modules` have settings of their own, None is plain.

    `named` are the names of these modules, to tell which templates they single out. MLX leaves a module plain where
    the group size does not divide its columns, and writers may leave out others; the config does not say which.
    """

    default: MLXScheme | None
    modules: Mapping[str, MLXScheme | None]
    named: Excluded
    name: str = "mlx"
    missing: str = ""
    silent: bool = True

    def scheme(self, stored: Stored, module: str) -> MLXScheme | None:
        """The module's own settings, else those of all."""
        if not (is_matrix(stored) or is_stack(stored)):
            return None
        scheme = self.modules.get(module, self.default)
        return scheme if scheme and stored.shape[-1] % scheme.group_size == 0 else None

    def singles_out(self, template: str) -> bool:
        """Whether single experts have settings of their own."""
        return self.named.singles_out(template)
