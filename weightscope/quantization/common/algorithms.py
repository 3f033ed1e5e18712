"""ModelOpt's `quant_algo`: what each stores for a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from weightscope.config import Config
from weightscope.quantization.common.beside import EXPONENT_DTYPES
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.packed_fp4 import E4M3, PackedFP4
from weightscope.quantization.common.packed_rows import PackedRows
from weightscope.quantization.common.scaled import INT8, Scaled
from weightscope.quantization.common.settings import whole
from weightscope.quantization.common.smoothed import Smoothed

NAME = "modelopt"
INPUTS = ("input_scale",)
Settings = dict[str, Any]


def _fp8(grain: Grain, *, spaced: bool = False) -> Scaled:
    return Scaled(name=NAME, title="FP8", grain=grain, elements=E4M3, activations=INPUTS, spaced=spaced)


def _nvfp4(group: int) -> PackedFP4:
    return PackedFP4(name=NAME, title="NVFP4", group=group, packed="weight", whole="weight_scale_2", activations=INPUTS)


def _mxfp4(group: int) -> PackedFP4:
    return PackedFP4(name=NAME, title="MXFP4", group=group, packed="weight", exponents=True, activations=INPUTS)


def _mxfp8(group: int) -> Scaled:
    return Scaled(
        name=NAME, title="MXFP8", grain=Grain(1, group), elements=E4M3, scales=EXPONENT_DTYPES, activations=INPUTS
    )


def _int8(group: int) -> Scaled:
    del group
    return Scaled(name=NAME, title="INT8", grain=Grain(1), elements=INT8, activations=INPUTS)


# The size of its groups where the settings leave it out, and what is stored.
ALGORITHMS: dict[str, tuple[int, Callable[[int], Scaled | PackedFP4 | PackedRows]]] = {
    "FP8": (1, lambda _: _fp8(Grain())),
    "FP8_PER_CHANNEL_PER_TOKEN": (1, lambda _: _fp8(Grain(1))),
    "FP8_PB_WO": (128, lambda size: _fp8(Grain(size, size), spaced=True)),
    "FP8_PB_REAL": (128, lambda size: _fp8(Grain(size, size), spaced=True)),
    "NVFP4": (16, _nvfp4),
    "NVFP4_AWQ": (16, _nvfp4),
    "W4A16_NVFP4": (16, _nvfp4),
    "W4A8_NVFP4_FP8": (16, _nvfp4),
    "MXFP4": (32, _mxfp4),
    "W4A8_MXFP4_FP8": (32, _mxfp4),
    "MXFP8": (32, _mxfp8),
    "W4A16_AWQ": (128, lambda size: PackedRows(name=NAME, group=size)),
    "INT4_AWQ": (128, lambda size: PackedRows(name=NAME, group=size)),
    "W4A8_AWQ": (128, lambda size: PackedRows(name=NAME, group=size, rounded=True)),
    "W8A16": (1, _int8),
    "W8A8_SQ_PER_CHANNEL": (1, _int8),
}


def scheme_of(config: Config, algorithm: str, settings: Settings) -> tuple[Smoothed | None, str]:
    """How an algorithm stores a matrix; None, and its name, where that is not implemented.

    Raises:
        ConfigError: a size of groups that is none.
    """
    if not algorithm:
        return None, ""
    known = ALGORITHMS.get(algorithm)
    if known is None:
        return None, f"quant_algo {algorithm!r:.60}"
    usual, store = known
    # Written as 0 where a method has no groups.
    size = whole(config, settings, "group_size", usual, least=0) or usual
    return Smoothed(weight=store(size)), ""


def schemes_of(config: Config, layers: Mapping[str, Settings]) -> tuple[dict[str, Smoothed | None], str]:
    """How each layer is stored, by its own settings, and the first algorithm that is not implemented.

    Raises:
        ConfigError: settings that are none of ModelOpt's.
    """
    found: dict[str, Smoothed | None] = {}
    known: dict[object, Smoothed | None] = {}
    refused = ""
    # There may be tens of thousands, of few kinds.
    for name, entry in layers.items():
        algorithm, size = entry.get("quant_algo"), entry.get("group_size")
        key = (algorithm, size) if type(algorithm) is str and (size is None or type(size) is int) else id(entry)
        if key not in known:
            known[key], missing = scheme_of(config, algorithm_of(config, entry), entry)
            refused = refused or missing
        found[name] = known[key]
    return found, refused


def algorithm_of(config: Config, settings: Settings) -> str:
    """The `quant_algo`, or what config groups say in compressed-tensors' words; empty where nothing is quantized.

    Raises:
        ConfigError: it is no text.
    """
    stated = settings.get("quant_algo")
    if stated is None and "weights" in settings:
        return _by_words(settings["weights"])
    if stated is not None and not isinstance(stated, str):
        raise config.error(f"quant_algo is {stated!r:.60}, not a string")
    if not stated and "quant_algo" not in settings:
        groups = [group for group, targets in _groups(config, settings) if "Linear" in targets]
        return _by_words(groups[0].get("weights")) if groups else ""
    return (stated or "").upper()


def grouped_layers(config: Config, settings: Settings) -> dict[str, Settings]:
    """The settings of layers that groups name as their targets; a group of all linear layers names none.

    Raises:
        ConfigError: groups that are none.
    """
    found: dict[str, Settings] = {}
    for group, targets in _groups(config, settings):
        size = group["weights"].get("group_size") if isinstance(group.get("weights"), dict) else None
        found |= dict.fromkeys((name for name in targets if name != "Linear"), group | {"group_size": size})
    return found


def group_size_of(config: Config, settings: Settings) -> Settings:
    """The size of groups that a config group of all linear layers states, as `group_size`.

    Raises:
        ConfigError: groups that are none.
    """
    for group, targets in _groups(config, settings):
        weights = group.get("weights")
        if "Linear" in targets and isinstance(weights, dict) and "group_size" in weights:
            return {"group_size": weights["group_size"]}
    return {}


def _groups(config: Config, settings: Settings) -> list[tuple[Settings, list[str]]]:
    groups = settings.get("config_groups") or {}
    if not isinstance(groups, dict) or not all(isinstance(group, dict) for group in groups.values()):
        raise config.error("config_groups must be an object whose values are objects")
    found = []
    for group in groups.values():
        targets = group.get("targets") or []
        if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
            raise config.error("targets of config_groups is no list of names")
        found.append((group, targets))
    return found


def _by_words(weights: object) -> str:
    """The algorithm of weights with so many bits of that type."""
    if not isinstance(weights, dict):
        return ""
    bits, kind, group = (weights.get(key) for key in ("num_bits", "type", "group_size"))
    if (bits, kind) == (8, "float"):
        per_channel = weights.get("strategy") == "channel"
        return "MXFP8" if group == 32 else "FP8_PER_CHANNEL_PER_TOKEN" if per_channel else "FP8"
    if (bits, kind) == (4, "float"):
        return "MXFP4" if group == 32 else "NVFP4"
    if kind == "int" and bits in (4, 8):
        return "W4A16_AWQ" if bits == 4 else "W8A16"
    return f"{kind!s:.20} of {bits!s:.20} bits"
