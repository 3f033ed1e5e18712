"""NVIDIA's ModelOpt: FP8, NVFP4, MXFP4, MXFP8 and integers, each module by what `quant_algo` says of it.

Source: `modelopt.torch.export` 0.47, which writes config.json (`ignore`) or hf_quant_config.json (`exclude_modules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization import fp8
from weightscope.quantization.common.algorithms import (
    algorithm_of,
    group_size_of,
    grouped_layers,
    scheme_of,
    schemes_of,
)
from weightscope.quantization.common.coverage import EXPERT, role_of
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.method import SCALES, Told, is_matrix, variants_of
from weightscope.quantization.common.modules import PLACE, uneven
from weightscope.quantization.common.packed_fp4 import PackedFP4
from weightscope.quantization.common.scaled import Scaled
from weightscope.quantization.common.settings import names
from weightscope.quantization.common.smoothed import Smoothed
from weightscope.quantization.common.stacks import Stacks
from weightscope.quantization.common.wildcards import Wildcards
from weightscope.roles import TABLES
from weightscope.storage.base import Scheme, Stored

Settings = dict[str, Any]
MIXED = "MIXED_PRECISION"
# So many names of layers are compared one by one with the modules of a model.
FEW = 4096


def method(config: Config, settings: Settings) -> ModelOpt | None:
    """From config.json's settings and those of hf_quant_config.json together; None where only a cache is quantized.

    Raises:
        ConfigError: settings that are none of ModelOpt's.
        UndeclaredError: exclusions that could take too long.
    """
    inner = settings.get("quantization")
    settings = settings | inner if isinstance(inner, dict) else settings
    settings = group_size_of(config, settings) | settings
    layers = _layers(config, settings)
    of_experts = algorithm_of(config, {"quant_algo": settings.get("moe_quant_algo")})
    stated = "" if of_experts and "quant_algo" not in settings else algorithm_of(config, settings)
    if not (stated or of_experts or layers):
        if "quant_algo" in settings:
            return None
        raise UndeclaredError("quantization 'modelopt' without quant_algo is not implemented", where=config.source)
    default, refused = scheme_of(config, "" if stated == MIXED else stated, settings)
    experts, missing = scheme_of(config, "" if layers else of_experts, settings)
    own, unknown = schemes_of(config, layers)
    refused = refused or missing or unknown
    lists = [names(config, settings, key) for key in ("exclude_modules", "ignore")]
    return ModelOpt(
        default=default,
        experts=experts,
        layers=own,
        excluded=Wildcards.of(config, "ignore", [name for listed in lists for name in listed or ()]),
        rest=fp8.method(config, settings) if settings.get("weight_block_size") else None,
        missing=f"quantization 'modelopt' with {refused} is not implemented" if refused else "",
        silent=default is not None and lists == [None, None],
    )


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: Settings) -> Told | None:
    """4-bit floats by the types and sizes of their scales, 4-bit integers by having two rows a byte."""
    del settings
    weight, scale, whole = (found.get(f".{leaf}") for leaf in ("weight", "weight_scale", "weight_scale_2"))
    if weight is None or scale is None or weight.dtype != "U8" or len(weight.shape) != 2 or len(scale.shape) != 2:
        return None
    (rows, columns), (scale_rows, groups) = weight.shape, scale.shape
    algorithm, told = "", (rows, 2 * columns)
    if scale.dtype == "F8_E4M3" and whole is not None:
        algorithm = "NVFP4"
    elif scale.dtype == "U8" and whole is None:
        algorithm = "MXFP4"
    elif scale.dtype in SCALES and scale_rows == 2 * rows:
        algorithm, told = "W4A16_AWQ" if whole is None else "W4A8_AWQ", (2 * rows, columns)
    if not algorithm or not groups or told[1] % groups or scale_rows != told[0] or (shape and told != shape):
        return None
    scheme, missing = scheme_of(Config({}), algorithm, {"group_size": told[1] // groups})
    return Told(scheme=scheme, shape=told) if scheme and not missing else None


def _layers(config: Config, settings: Settings) -> dict[str, Settings]:
    """The settings of single layers, by `quantized_layers` or the targets of `config_groups`."""
    layers = settings.get("quantized_layers")
    if layers is None:
        return grouped_layers(config, settings)
    if not isinstance(layers, dict) or not all(isinstance(entry, dict) for entry in layers.values()):
        raise config.error("quantized_layers must be an object whose values are objects")
    return layers


class ModelOpt(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Linear layers by the `default`, those in `layers` (or below one) by their own, none of those `excluded`.

    `experts` are those of a mixture where they alone are quantized. `rest` covers what is left: DeepSeek-V4's exports
    keep FP8 around quantized experts.
    """

    default: Smoothed | None
    layers: Mapping[str, Smoothed | None]
    excluded: Wildcards
    experts: Smoothed | None = None
    rest: fp8.FP8 | None = None
    name: str = "modelopt"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> Scheme | None:
        """The module's own, or the default where its class is surely a linear layer."""
        if not (is_matrix(stored) or fp8.is_stacked(stored)) or stored.transposed:
            return None
        said = self._said(stored, module)
        return None if said is not None and self._is_open(stored, module) else said

    def leaves_open(self, stored: Stored, module: str) -> Scheme | None:
        """The default for routers, heads and others that ModelOpt leaves plain by its own defaults."""
        return self._said(stored, module) if self._is_open(stored, module) else None

    def singles_out(self, template: str) -> bool:
        """Whether single experts have settings of their own, or are excluded."""
        if template.count("{}") < 2:
            return False
        own = self._deep_layers
        return (
            template in own
            or any(template.startswith(f"{name}.") for name in own)
            or self.excluded.singles_out(template)
        )

    def variants(self, said: Scheme) -> tuple[Scheme, ...]:
        """Of what is left, the names under which writers of FP8 store the same."""
        return variants_of(self.rest, said) if self.rest and said.name == self.rest.name else ()

    def _said(self, stored: Stored, module: str) -> Scheme | None:
        if module in self.layers:
            return _stacked(self.layers[module], stored)
        if not self.excluded.holds(module):
            own, found = self._around(module)
            if found:
                return _stacked(own, stored)
            default = self.experts if self.experts and EXPERT.search(module) else self.default
            if default and role_of(stored) not in TABLES:
                return _stacked(default, stored)
        return self.rest.scheme(stored, module) if self.rest else None

    def _around(self, module: str) -> tuple[Smoothed | None, bool]:
        """What is said of the nearest module around this one, and whether anything is."""
        name = module.rpartition(".")[0]
        while name:
            if name in self.layers:
                return self.layers[name], True
            name = name.rpartition(".")[0]
        return None, False

    def _is_open(self, stored: Stored, module: str) -> bool:
        """Whether only the default speaks of a module that is often none of its affair."""
        return role_of(stored) in fp8.PLAIN_ROLES and module not in self.layers and not self._around(module)[1]

    @cached_property
    def _deep_layers(self) -> frozenset[str]:
        """Names in `layers` with two numbers or more, blanked; of very many those that differ within a layer."""
        if len(self.layers) <= FEW:
            blank = (PLACE.sub("{}", name) for name in self.layers)
            return frozenset(name for name in blank if name.count("{}") > 1)
        return uneven(self.layers)


def _stacked(scheme: Smoothed | None, stored: Stored) -> Scheme | None:
    """The same of stacked experts, of which ModelOpt stores FP8 and NVFP4."""
    if scheme is None or is_matrix(stored):
        return scheme
    weight = scheme.weight
    if isinstance(weight, PackedFP4) and not weight.exponents:
        return Stacks(name=weight.name, group=weight.group)
    return Stacks(name=weight.name) if isinstance(weight, Scaled) and weight.grain == Grain() else None
