"""MXFP8: 8-bit floats in groups of 32 along a row, each with an exponent of one byte (OCP MX 1.0, section 5.2)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from weightscope.config import Config
from weightscope.quantization.common.beside import EXPONENT_DTYPES
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.method import is_matrix
from weightscope.quantization.common.scaled import Scaled
from weightscope.quantization.fp8 import PLAIN_ROLES, is_stacked
from weightscope.storage.base import Scheme, Stored

GROUP = 32
GROUPS = Scaled(
    name="mxfp8", title="MXFP8", grain=Grain(1, GROUP), scales=EXPONENT_DTYPES, activations=("input_scale",)
)
# What writers call the modules that stay plain.
EXCLUSIONS = ("modules_to_not_convert", "ignored_layers", "ignore")


def method(config: Config, settings: dict[str, Any]) -> MXFP8:
    """From a `quantization_config` with `quant_method` mxfp8.

    Raises:
        ConfigError: no list of modules.
        UndeclaredError: a pattern that could take too long.
    """
    key = next((key for key in EXCLUSIONS if settings.get(key) is not None), EXCLUSIONS[0])
    return MXFP8(excluded=Excluded.of(config, key, settings.get(key)))


class MXFP8(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of linear layers and stacked experts, except those in `excluded`."""

    excluded: Excluded
    name: str = "mxfp8"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> Scaled | None:
        """Groups of 32, for every matrix that is not left out."""
        covered = stored.parts[0][0] not in PLAIN_ROLES and (is_matrix(stored) or is_stacked(stored))
        return GROUPS if covered and not self.excluded.holds(module) else None

    def singles_out(self, template: str) -> bool:
        """Whether the excluded modules may be single experts."""
        return self.excluded.singles_out(template)

    def variants(self, said: Scheme) -> tuple[Scheme, ...]:
        """The same under the name that transformers' FP8 gives the scales."""
        del said
        return GROUPS, replace(GROUPS, scale="weight_scale_inv")
