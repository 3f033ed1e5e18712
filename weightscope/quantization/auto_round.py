"""AutoRound: the tensors of GPTQ or AWQ, with settings of its own for blocks and for single modules.

`packing_format` says whose tensors they are: `auto_round:auto_gptq` and `auto_round:gptq` are GPTQ's first version,
`auto_round` stores zero points as they are, `auto_round:auto_awq` and `auto_round:awq` are AWQ's gemm.
"""

from __future__ import annotations

import os.path
from typing import Any

import msgspec
from msgspec.structs import replace

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization import awq, gptq
from weightscope.quantization.common.coverage import in_layer, is_core, is_open, role_of
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.method import is_matrix
from weightscope.quantization.common.overrides import Overrides
from weightscope.quantization.common.settings import names, whole, word
from weightscope.roles import TABLES
from weightscope.storage.base import Scheme, Stored

# Below this, weights are integers; a module of 16 bits or more is plain.
PLAIN_BITS = 16
GPTQ_FORMATS = {"auto": 1, "auto_round:auto_gptq": 1, "auto_round:gptq": 1, "auto_round": 0, "auto_round:gptqmodel": 0}
AWQ_FORMATS = ("auto_round:auto_awq", "auto_round:awq")
Form = gptq.Form | awq.Form


def method(config: Config, settings: dict[str, Any]) -> AutoRound:
    """From a `quantization_config` with `quant_method` auto-round (or intel/auto-round).

    Raises:
        ConfigError: settings that are none of AutoRound's.
        UndeclaredError: a width, type or packing that is not implemented.
    """
    entries = settings.get("extra_config") or {}
    if not isinstance(entries, dict) or not all(isinstance(own, dict) for own in entries.values()):
        raise config.error("extra_config must be an object whose values are objects")
    own = {name: _form(config, settings | found) for name, found in entries.items() if found}
    return AutoRound(
        form=_form(config, settings),
        blocks=_blocks(config, settings),
        excluded=Excluded.of(config, "modules_to_not_convert", settings.get("modules_to_not_convert")),
        own=Overrides.of(config, "extra_config", own, anywhere=True),
    )


def _form(config: Config, settings: dict[str, Any]) -> Form | None:
    """The settings of one module, None for plain."""
    if whole(config, settings, "bits") >= PLAIN_BITS:
        return None
    kind = word(config, settings, "data_type", "int")
    packing = word(config, settings, "packing_format", "auto_round:auto_gptq")
    if kind not in ("int", "int_sym", "int_asym"):
        raise UndeclaredError(f"quantization 'auto-round' of type {kind:.40} is not implemented", where=config.source)
    if packing in AWQ_FORMATS:
        return awq.form_of(config, {key: settings.get(key) for key in ("bits", "group_size")})
    if packing not in GPTQ_FORMATS:
        raise UndeclaredError(
            f"quantization 'auto-round' packed as {packing:.40} is not implemented", where=config.source
        )
    own = {key: settings.get(key) for key in ("bits", "group_size", "desc_act")}
    form = gptq.form_of(config, own, widths=gptq.ANY_WIDTH)
    # Its symmetric scales have the sign of the largest weight.
    return replace(form, short=GPTQ_FORMATS[packing], signed=True)


def _blocks(config: Config, settings: dict[str, Any]) -> tuple[str, ...] | None:
    """What names of quantized modules begin with, None where the settings do not say."""
    said = settings.get("block_name_to_quantize", settings.get("to_quant_block_names"))
    if said is None:
        return None
    if isinstance(said, str):
        return tuple(part.strip() for part in said.split(",") if part.strip())
    flat = names(config, {"block_name_to_quantize": said}, "block_name_to_quantize") or ()
    if any(isinstance(part, list) for part in said):
        # Older versions list every block by its name: what these have in common is the list's.
        lists = [part for part in said if isinstance(part, list)]
        return tuple(os.path.commonprefix(part).rstrip(".") for part in lists)  # noqa: RUF071 - as AutoRound does
    return flat


class AutoRound(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of the blocks whose names begin with one of `blocks`; `own` have settings of their own."""

    form: Form | None
    blocks: tuple[str, ...] | None = None
    excluded: Excluded = Excluded()
    own: Overrides[Form | None] = Overrides()
    name: str = "auto-round"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> Scheme | None:
        """Packed, for what the settings cover; a module that `extra_config` names may be outside of the blocks."""
        if not is_matrix(stored) or role_of(stored) in TABLES or self._is_out(module):
            return None
        own = self.own.find(module)
        if own is None and not self._covers(stored, module):
            return None
        form = own[0] if own else self.form
        return form.of(stored) if form else None

    def leaves_open(self, stored: Stored, module: str) -> Scheme | None:
        """Of other matrices in the blocks the settings say nothing."""
        undecided = is_open(stored, module) and self.own.find(module) is None and not self._is_out(module)
        return self.form.of(stored) if self.form and undecided and self._in_blocks(module) else None

    def singles_out(self, template: str) -> bool:
        """Whether settings may name single experts."""
        return self.own.singles_out(template) or self.excluded.singles_out(template)

    def _covers(self, stored: Stored, module: str) -> bool:
        return is_core(stored, module) and self._in_blocks(module)

    def _in_blocks(self, module: str) -> bool:
        return in_layer(module) if self.blocks is None else module.startswith(self.blocks)

    def _is_out(self, module: str) -> bool:
        return self.excluded.holds(module) or self.excluded.holds_part(module)
