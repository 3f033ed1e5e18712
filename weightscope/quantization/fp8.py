"""FP8 as `quant_method` fp8 has it: in blocks (DeepSeek-V3, arXiv 2412.19437, section 3.3) or with one scale a matrix.

The published names are `weight` and `weight_scale_inv`; despite its name the scale is multiplied, not divided by.
vLLM's and Mistral's writers call the same `weight_scale` and `qscale_weight`, DeepSeek's own files `scale`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.quantization.common.beside import EXPONENT_DTYPES
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.grains import grain_of
from weightscope.quantization.common.method import SCALES, Told, is_matrix
from weightscope.quantization.common.packed_fp4 import FP4_EXPERTS
from weightscope.quantization.common.scaled import FLOAT8, Scaled
from weightscope.roles import TABLES, Role
from weightscope.storage.base import Kind, Scheme, Stored

# DeepSeek keeps these in BF16; transformers' fp8 quantizer leaves them out as well.
PLAIN_ROLES = TABLES | {
    Role.LM_HEAD,
    Role.ROUTER,
    Role.MTP_PROJ,
    Role.INDEX_WEIGHT,
    Role.COMPRESSOR_PROJ,
    Role.COMPRESSOR_GATE,
}
EXPERTS = {Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ}
# What writers call a weight's scale, and those of its activations; one module has one of these.
NAMES = (
    ("weight_scale_inv", ("activation_scale", "input_scale")),
    ("weight_scale", ("input_scale", "activation_scale")),
    ("qscale_weight", ("qscale_act",)),
    ("scale", ()),
)
# Where no sizes of blocks are stated, transformers takes these; vLLM takes one scale a matrix.
USUAL_BLOCKS = Grain(128, 128)
# Scales that are powers of two are published as float32 or as the exponents alone.
POWERS = SCALES | {"F8_E8M0"}


def method(config: Config, settings: dict[str, Any]) -> FP8:
    """From a `quantization_config` with `quant_method` fp8.

    Raises:
        ConfigError: sizes of blocks, or names of modules, that are none.
        UndeclaredError: a pattern that could take too long.
    """
    block = settings.get("weight_block_size")
    if block is not None and not (
        isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block)
    ):
        raise config.error(f"weight_block_size is {block!r:.60}, not two positive numbers")
    key = "modules_to_not_convert" if settings.get("modules_to_not_convert") is not None else "ignored_layers"
    converted = Excluded.of(config, "modules_to_convert", settings.get("modules_to_convert"))
    return FP8(
        grain=Grain(*block) if block else Grain(),
        stated="weight_block_size" in settings,
        static=settings.get("activation_scheme") == "static",
        # Exponents as bytes mean what they are only where the settings say so.
        scales=POWERS | EXPONENT_DTYPES if settings.get("scale_fmt") == "ue8m0" else POWERS,
        excluded=Excluded.of(config, key, settings.get(key)),
        converted=converted,
    )


class FP8(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of linear layers and stacked experts, except those in `excluded`; tables in `converted` as well.

    `stated` is whether the settings say which weights share a scale, `static` whether activations have scales too.
    """

    grain: Grain
    scales: frozenset[str] = POWERS
    excluded: Excluded = Excluded()
    converted: Excluded = Excluded()
    stated: bool = True
    static: bool = False
    name: str = "fp8"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> Scaled | None:
        """FP8, for every matrix that is not left out."""
        if stored.parts[0][0] is Role.TOKEN_EMBEDDING and any(map(module.endswith, self.converted.suffixes)):
            return Scaled(name=self.name, title="FP8", grain=Grain())
        covered = stored.parts[0][0] not in PLAIN_ROLES and (is_matrix(stored) or is_stacked(stored))
        return self._named(*NAMES[0 if self.stated else 1]) if covered and not self.excluded.holds(module) else None

    def singles_out(self, template: str) -> bool:
        """Whether the excluded modules may be single experts."""
        return self.excluded.singles_out(template)

    def variants(self, said: Scheme) -> tuple[Scheme, ...]:
        """The same under the names that other writers use, and experts in FP4; of blocks none is `weight_scale`."""
        assert isinstance(said, Scaled)
        schemes: list[Scaled] = [
            replace(said, scale=scale, activations=activations if self.static else ())
            for scale, activations in NAMES
            if scale != "weight_scale" or not self.grain.columns
        ]
        if not self.stated:
            schemes += [replace(scheme, grain=USUAL_BLOCKS) for scheme in schemes]
        return (*schemes, FP4_EXPERTS)

    def _named(self, scale: str, activations: tuple[str, ...]) -> Scaled:
        return Scaled(
            name=self.name,
            title="FP8",
            grain=self.grain,
            scale=scale,
            scales=self.scales,
            activations=activations if self.static else (),
        )


def is_stacked(stored: Stored) -> bool:
    """Experts stacked into one tensor that is a parameter of their module: (experts, rows, columns)."""
    return (
        stored.kind is Kind.WEIGHT
        and len(stored.shape) == 3
        and not stored.name.endswith(".weight")
        and {role for role, _ in stored.parts} <= EXPERTS
    )


def recognize(
    found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: Mapping[str, object]
) -> Told | None:
    """A weight in 8-bit floats and the scale beside it, by their shapes."""
    del settings
    weight = found.get(".weight")
    if weight is None or weight.dtype not in FLOAT8 or (shape is not None and weight.shape != shape):
        return None
    for leaf, activations in NAMES:
        scale = found.get(f".{leaf}")
        if scale is None or scale.dtype not in POWERS | EXPONENT_DTYPES:
            continue
        grain = grain_of(weight.shape, scale.shape)
        # Bytes are exponents of groups (MX); of anything else nothing says what they mean.
        if grain is None or (scale.dtype == "U8" and grain.rows != 1):
            return None
        scales = EXPONENT_DTYPES if scale.dtype in EXPONENT_DTYPES else SCALES
        scheme = Scaled(name="fp8", title="FP8", grain=grain, scale=leaf, scales=scales, activations=activations)
        return Told(scheme=scheme, shape=weight.shape)
    return None
