"""bitsandbytes: int8 with a scale for each row, and 4-bit codes (nf4, fp4) with a scale for each block of weights.

Format: `Linear8bitLt` and `Linear4bit` as transformers saves them. The 4-bit form has its true shape in a JSON text
(`quant_state`), and its scales may be quantized again ("double quantization").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.dtypes import DTYPE_BITS, TORCH_NAMES
from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.coverage import Linears, oriented
from weightscope.quantization.common.four_bit import Form, FourBit
from weightscope.quantization.common.method import Told
from weightscope.quantization.common.reading import read_optional, read_parts, refuse
from weightscope.quantization.common.settings import flag, word
from weightscope.sizes import Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

CODES = ("nf4", "fp4")
# What 4-bit codes may be stored as, whole bytes at a time (`bnb_4bit_quant_storage`).
STORAGES = ("U8", "BF16", "F16", "F32")
# bitsandbytes multiplies by the reciprocal of 127, in float32.
RECIPROCAL = 7.874015718698502e-3
ROW_MAJOR = 0
ROWS = Bounds(least=0.0, most=1e4, zero=False, words="scales", why="a scale is the largest weight of its row")
FORMAT = Bounds(least=ROW_MAJOR, most=ROW_MAJOR, words="formats", why="0 is row-major, others are layouts of old GPUs")


def method(config: Config, settings: dict[str, Any]) -> BitsAndBytes:
    """From a `quantization_config` with `quant_method` bitsandbytes, or `load_in_4bit` or `load_in_8bit`.

    Raises:
        ConfigError: settings that are none of bitsandbytes'.
        UndeclaredError: neither 4 nor 8 bits, or a code or storage that is not implemented.
    """
    four, eight = (
        flag(config, settings, key) or flag(config, settings, f"_{key}") for key in ("load_in_4bit", "load_in_8bit")
    )
    if four == eight:
        which = "both 4 and 8 bits" if four else "neither 4 nor 8 bits"
        raise UndeclaredError(f"quantization 'bitsandbytes' with {which} is not implemented", where=config.source)
    return BitsAndBytes(
        four=_four(config, settings) if four else None,
        linears=Linears.of(config, "llm_int8_skip_modules", settings.get("llm_int8_skip_modules")),
    )


def _four(config: Config, settings: dict[str, Any]) -> Form:
    code = word(config, settings, "bnb_4bit_quant_type", "fp4")
    storage = TORCH_NAMES.get(word(config, settings, "bnb_4bit_quant_storage", "uint8").removeprefix("torch."), "")
    if code not in CODES or storage not in STORAGES:
        what = f"code {code:.40}" if code not in CODES else "this bnb_4bit_quant_storage"
        raise UndeclaredError(f"quantization 'bitsandbytes' with {what} is not implemented", where=config.source)
    return Form(code=code, nested=flag(config, settings, "bnb_4bit_use_double_quant"), storage=storage)


class BitsAndBytes(msgspec.Struct, frozen=True, kw_only=True):
    """Every Linear that is not skipped; `four` is None for 8 bits."""

    four: Form | None
    linears: Linears = Linears()
    name: str = "bitsandbytes"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> FourBit | EightBit | None:
        """Quantized, for matrices of attention and feed-forward layers that are not skipped."""
        return self._of(stored) if self.linears.covers(stored, module) else None

    def leaves_open(self, stored: Stored, module: str) -> FourBit | EightBit | None:
        """Other matrices, where they are not skipped by name."""
        return self._of(stored) if self.linears.leaves_open(stored, module) else None

    def variants(self, said: object) -> tuple[FourBit, ...]:
        """What a quant_state says counts, whatever the settings say: the code, the storage, scales quantized again."""
        if not isinstance(said, FourBit):
            return ()
        forms = product(CODES, (False, True), STORAGES)
        return tuple(replace(said, form=Form(code=c, nested=n, storage=s)) for c, n, s in forms)

    def singles_out(self, template: str) -> bool:
        """Whether the skipped modules may be single experts."""
        return self.linears.singles_out(template)

    def _of(self, stored: Stored) -> FourBit | EightBit:
        rows, columns = oriented(stored)
        if self.four is None:
            return EightBit(rows=rows, columns=columns, transposed=stored.transposed)
        return FourBit(form=self.four, rows=rows, columns=columns, transposed=stored.transposed)


class EightBit(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix of `rows` outputs and `columns` inputs as `weight` (int8), `SCB` and, since 0.38, `weight_format`."""

    rows: int
    columns: int
    transposed: bool = False
    name: str = "bitsandbytes"
    rowwise: bool = False
    words: str = "bitsandbytes, int8 with a scale for each row"
    formula: str = "w = q · SCB / 127"
    packing: str = ""

    def parts(self, name: str) -> tuple[str, ...]:
        """The weight, the largest weight of each row, the layout."""
        module = name.removesuffix(".weight")
        return name, f"{module}.SCB", f"{module}.weight_format"

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The weight (out, in), a scale for each output, one number."""
        rows, columns = stored.upright
        weight, scale, layout = self.parts(stored.name)
        side = replace(stored, kind=Kind.SCALE, transposed=False)
        return (
            replace(stored, name=weight, shape=(rows, columns), dtypes=frozenset({"I8"}), transposed=False),
            replace(side, name=scale, shape=(rows,), dtypes=frozenset({"F32", "F16", "BF16"}), bounds=ROWS),
            replace(side, name=layout, shape=(), dtypes=frozenset({"U8"}), bounds=FORMAT, optional=True),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Code · SCB / 127, multiplied in the order in which bitsandbytes does.

        Raises:
            CheckpointError: tensors of other shapes or types, or a layout that is not row-major.
        """
        matrix = Stored(name=name, shape=(Size(self.rows), Size(self.columns)), parts=())
        weight, scale, layout = self.expand(matrix)
        codes, scales = read_parts((weight, scale), raw)
        found = read_optional(layout, raw)
        if found is not None and int(found) != ROW_MAJOR:
            raise refuse(layout.name, f"is {int(found)}: a layout of old GPUs, which is not implemented")
        out = codes.float().mul_(scales.float()[:, None]).mul_(RECIPROCAL)
        return out.T if self.transposed else out


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: dict[str, Any]) -> Told | None:
    """By the names beside the weight, which tell the code, and its element type."""
    del settings
    weight = found.get(".weight")
    if weight is None or (shape is not None and len(shape) != 2):
        return None
    if ".SCB" in found:
        rows, columns = weight.shape if len(weight.shape) == 2 else (0, 0)
        if weight.dtype != "I8" or found[".SCB"].shape != (rows,) or (shape and shape != (rows, columns)):
            return None
        return Told(scheme=EightBit(rows=rows, columns=columns), shape=(rows, columns))
    code = next((code for code in CODES if f".weight.quant_state.bitsandbytes__{code}" in found), None)
    if code is None or ".weight.absmax" not in found or weight.dtype not in STORAGES:
        return None
    form = Form(code=code, nested=".weight.nested_absmax" in found, storage=weight.dtype)
    held = prod(weight.shape) * DTYPE_BITS[weight.dtype] // 4
    if shape is not None and prod(weight.shape) != -(-prod(shape) * 4 // DTYPE_BITS[weight.dtype]):
        return None
    # Without a declaration only the number of weights is told: even, as of all layers that there are.
    rows, columns = shape or (1, held)
    return Told(scheme=FourBit(form=form, rows=rows, columns=columns), shape=(rows, columns))
