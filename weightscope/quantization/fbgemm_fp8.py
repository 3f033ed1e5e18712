"""FP8 as Meta's fbgemm quantizes it: a float32 scale for each row (Llama-3.1-405B-FP8)."""

from __future__ import annotations

from typing import Any

import msgspec

from weightscope.config import Config
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.method import is_matrix
from weightscope.quantization.common.scaled import Scaled
from weightscope.quantization.fp8 import PLAIN_ROLES
from weightscope.storage.base import Stored

ROWS = Scaled(name="fbgemm_fp8", title="FP8", grain=Grain(1))


def method(config: Config, settings: dict[str, Any]) -> FbgemmFP8:
    """From a `quantization_config` with `quant_method` fbgemm_fp8.

    Raises:
        ConfigError: no list of modules.
        UndeclaredError: a pattern that could take too long.
    """
    key = "modules_to_not_convert"
    return FbgemmFP8(excluded=Excluded.of(config, key, settings.get(key)))


class FbgemmFP8(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of linear layers but the head, except those in `excluded`."""

    excluded: Excluded
    name: str = "fbgemm_fp8"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> Scaled | None:
        """A scale for each row, for every matrix that is not left out."""
        covered = is_matrix(stored) and stored.parts[0][0] not in PLAIN_ROLES
        return ROWS if covered and not self.excluded.holds(module) else None

    def singles_out(self, template: str) -> bool:
        """Whether the excluded modules may be single experts."""
        return self.excluded.singles_out(template)
