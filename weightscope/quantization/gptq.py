"""GPTQ: integers of 2 to 8 bits packed along a Linear's inputs, with a scale and a zero point for each group of them.

Format: AutoGPTQ's and GPTQModel's `qweight`, `qzeros`, `scales`, `g_idx`. In its first version (`checkpoint_format`
gptq) a zero point is stored less one; in gptq_v2 it is stored as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.bits import unpack, unpack_down_into
from weightscope.quantization.common.coverage import is_core, is_open, oriented, role_of
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.grouped import dequantize
from weightscope.quantization.common.method import SCALES, Told, is_matrix
from weightscope.quantization.common.overrides import Overrides, dynamic
from weightscope.quantization.common.reading import read_optional, read_parts, refuse
from weightscope.quantization.common.settings import flag, group_size, names, whole, word
from weightscope.quantization.common.shapes import blocks, words
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

WIDTHS = (2, 3, 4, 8)
# AutoRound packs the others as one stream of bits as well.
ANY_WIDTH = tuple(range(2, 9))
INTEGERS = frozenset({"I32"})
INDICES = frozenset({"I32", "I64"})
# What a zero point is short of where it is stored, by `checkpoint_format`.
SHORT = {"gptq": 1, "gptq_v2": 0}
# Scales are the step between two codes: of weights in the hundreds at most.
MOST_SCALE = 1e3
POSITIVE = Bounds(least=0.0, most=MOST_SCALE, zero=False, words="scales", why="a scale is a step between two codes")
SIGNED = Bounds(least=-MOST_SCALE, most=MOST_SCALE, zero=False, words="scales", why="a scale of zero loses its group")


def method(config: Config, settings: dict[str, Any]) -> GPTQ:
    """From a `quantization_config` with `quant_method` gptq, or AutoGPTQ's quantize_config.json.

    Raises:
        ConfigError: settings that are none of GPTQ's.
        UndeclaredError: a width or packing that is not implemented.
    """
    base = form_of(config, settings)
    inside = names(config, settings, "modules_in_block_to_quantize")
    return GPTQ(
        form=base,
        head=flag(config, settings, "lm_head"),
        inside=Excluded(names=frozenset(inside), suffixes=frozenset(inside)) if inside else None,
        excluded=Excluded.of(config, "modules_to_not_convert", settings.get("modules_to_not_convert")),
        own=dynamic(config, settings, partial(form_of, config)),
    )


def form_of(
    config: Config, settings: Mapping[str, Any], *, widths: tuple[int, ...] = WIDTHS, default_group: int = 128
) -> Form:
    """The settings of one module.

    Raises:
        ConfigError: settings that are none of GPTQ's.
        UndeclaredError: a width or packing that is not implemented.
    """
    known = dict(settings)
    bits = whole(config, known, "bits")
    layout = word(config, known, "checkpoint_format") or word(config, known, "format", "gptq")
    if flag(config, known, "is_marlin_format"):
        layout = "marlin"
    if bits not in widths:
        raise UndeclaredError(f"quantization 'gptq' with {bits} bits is not implemented", where=config.source)
    if layout not in SHORT:
        raise UndeclaredError(f"quantization 'gptq' packed as {layout:.40} is not implemented", where=config.source)
    if word(config, known, "pack_dtype", "int32") != "int32":
        raise UndeclaredError(
            "quantization 'gptq' in words of other than 32 bits is not implemented", where=config.source
        )
    return Form(
        bits=bits,
        group_size=group_size(config, known, "group_size", default_group),
        ordered=flag(config, known, "desc_act"),
        short=SHORT[layout],
        signed="autoround_version" in known,
    )


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say of a module: a `group_size` of 0 is the whole row.

    `ordered` is whether inputs are grouped by their activations (`desc_act`), `short` what a stored zero point lacks
    (None where nothing tells), `signed` whether scales may be negative, as AutoRound's are.
    """

    bits: int
    group_size: int
    ordered: bool = False
    short: int | None = 1
    signed: bool = False

    def of(self, stored: Stored) -> PackedGPTQ:
        """The scheme of a matrix."""
        rows, columns = oriented(stored)
        return PackedGPTQ(
            form=self,
            rows=rows,
            columns=columns,
            group_size=min(self.group_size or columns, columns),
            transposed=stored.transposed,
        )


class GPTQ(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of all layers, or those that `inside` ends with; the `head` only where the settings say so.

    `excluded` are left out, `own` have settings of their own.
    """

    form: Form
    head: bool = False
    inside: Excluded | None = None
    excluded: Excluded = Excluded()
    own: Overrides[Form | None] = Overrides()
    name: str = "gptq"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> PackedGPTQ | None:
        """Packed, for what the settings cover."""
        if not is_matrix(stored) or not self._covers(stored, module):
            return None
        own = self.own.find(module)
        form = own[0] if own else self.form
        return form.of(stored) if form else None

    def leaves_open(self, stored: Stored, module: str) -> PackedGPTQ | None:
        """Of what is no matrix of attention or a feed-forward layer, the settings say nothing."""
        if self.inside is not None or self.excluded.holds(module) or self.own.find(module):
            return None
        return self.form.of(stored) if is_open(stored, module) else None

    def singles_out(self, template: str) -> bool:
        """Whether settings may name single experts."""
        inside = self.inside is not None and self.inside.singles_out(template)
        return inside or self.own.singles_out(template) or self.excluded.singles_out(template)

    def _covers(self, stored: Stored, module: str) -> bool:
        if self.excluded.holds(module):
            return False
        if role_of(stored) is Role.LM_HEAD:
            return self.head
        if is_core(stored, module):
            return self.inside is None or self.inside.holds(module)
        named = self.inside is not None and self.inside.holds(module)
        own = self.own.find(module)
        return is_open(stored, module) and (named or (own is not None and own[0] is not None))


class PackedGPTQ(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix of `rows` outputs and `columns` inputs as `qweight`, `qzeros`, `scales` and `g_idx`."""

    form: Form
    rows: int
    columns: int
    group_size: int
    transposed: bool = False
    name: str = "gptq"
    rowwise: bool = False

    @property
    def words(self) -> str:
        """Width, size of the groups, and whether they follow the activations."""
        groups = "one group per row" if self.group_size == self.columns else f"groups of {self.group_size}"
        order = ", in the order of g_idx" if self.form.ordered else ""
        return f"GPTQ, {self.form.bits} bits in {groups}{order}"

    @property
    def formula(self) -> str:
        """The zero point of the first version is stored less one."""
        zero = "(qzeros + 1)" if self.form.short else "qzeros"
        return f"w = (q - {zero}) · scale, of the group g_idx"

    @property
    def packing(self) -> str:
        """How codes lie in words."""
        return f"{self.form.bits}-bit codes in 32-bit words along the inputs, lowest bits first"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed words, zero points, scales, groups."""
        module = name.removesuffix(".weight")
        return tuple(f"{module}.{leaf}" for leaf in ("qweight", "qzeros", "scales", "g_idx"))

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Codes (in, out), zero points and scales (groups, out), the group of each input."""
        rows, columns = stored.upright
        weight, zeros, scales, index = self.parts(stored.name)
        groups, bits = blocks(columns, self.group_size), self.form.bits
        bounds = SIGNED if self.form.signed else POSITIVE
        within = Bounds(least=0, most=int(groups) - 1, words="groups", why="there are no others")
        side = replace(stored, kind=Kind.SCALE, transposed=False)
        return (
            replace(stored, name=weight, shape=(words(columns, bits), rows), dtypes=INTEGERS, transposed=False),
            replace(side, name=zeros, shape=(groups, words(rows, bits)), dtypes=INTEGERS),
            replace(side, name=scales, shape=(groups, rows), dtypes=SCALES, bounds=bounds),
            replace(side, name=index, shape=(columns,), dtypes=INDICES, bounds=within, optional=not self.form.ordered),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """(code - zero) · scale.

        Raises:
            CheckpointError: tensors of other shapes or types, or a group that is not there.
        """
        import torch

        bits, count = self.form.bits, self.columns
        matrix = Stored(name=name, shape=(Size(self.rows), Size(self.columns)), parts=())
        *needed, group = self.expand(matrix)
        packed, zeros, scales = read_parts(needed, raw)
        index = read_optional(group, raw)
        if index is not None:
            if not 0 <= int(index.min()) <= int(index.max()) < len(scales):
                raise refuse(group.name, f"names groups beyond the {len(scales)} that there are")
            if torch.equal(index.long(), torch.arange(count, device=index.device) // self.group_size):
                index = None
        elif self.form.ordered:
            raise refuse(group.name, "is missing, and the order of the inputs is not known without it")
        points = self._zeros(unpack(zeros, bits, self.rows), needed[1].name)

        def fill(start: int, stop: int, out: torch.Tensor) -> None:
            unpack_down_into(out, packed[start * bits // 32 : -(-stop * bits // 32)], bits)

        weight = dequantize(fill, points, scales, count, self.group_size, index)
        return weight if self.transposed else weight.T

    def _zeros(self, stored: torch.Tensor, name: str) -> torch.Tensor:
        """The zero points; where nothing tells whether they are stored less one, those of symmetric codes do."""
        most = (1 << self.form.bits) - 1
        short = self.form.short
        if short is None:
            half = (most + 1) // 2
            found = [short for short in SHORT.values() if bool((stored == half - short).all())]
            if not found:
                raise refuse(name, "may be zero points or zero points minus one; checkpoint_format does not say which")
            short = found[0]
        return stored + short


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: dict[str, Any]) -> Told | None:
    """By the codes' shape: GPTQ's are as many columns as the scales have."""
    packed, zeros, scales = (found.get(mark) for mark in (".qweight", ".qzeros", ".scales"))
    if packed is None or zeros is None or scales is None or packed.dtype not in INTEGERS:
        return None
    if any(len(entry.shape) != 2 for entry in (packed, zeros, scales)) or packed.shape[1] != scales.shape[1]:
        return None
    index = found.get(".g_idx")
    rows, groups = scales.shape[1], scales.shape[0]
    columns = shape[1] if shape else index.shape[0] if index and len(index.shape) == 1 else 0
    fits = [
        bits
        for bits in ANY_WIDTH
        if zeros.shape == (groups, -(-rows * bits // 32))
        and packed.shape[0] == (-(-columns * bits // 32) if columns else packed.shape[0])
    ]
    if len(fits) != 1 or not groups or (shape and shape[0] != rows):
        return None
    columns = columns or packed.shape[0] * 32 // fits[0]
    size = _group_size(columns, groups)
    if size is None or (packed.shape[0], scales.shape) != (-(-columns * fits[0] // 32), (-(-columns // size), rows)):
        return None
    form = settings.get("checkpoint_format") or settings.get("format")
    short = SHORT.get(form) if isinstance(form, str) else None
    form = Form(bits=fits[0], group_size=size, short=short, signed=True)
    return Told(scheme=PackedGPTQ(form=form, rows=rows, columns=columns, group_size=size), shape=(rows, columns))


def _group_size(columns: int, groups: int) -> int | None:
    """The size of `groups` equal groups, else the one power of two that gives so many."""
    if columns % groups == 0:
        return columns // groups
    sizes = [1 << power for power in range(3, 16) if -(-columns // (1 << power)) == groups]
    return sizes[0] if len(sizes) == 1 else None
