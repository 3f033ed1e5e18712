"""optimum-quanto: int8 and 8-bit floats with a scale for each row, 2- and 4-bit codes with one for each group.

Format: what quanto's modules save (`weight._data`, `weight._scale`, `weight._shift`), with `quanto_qmap.json` beside it
(one entry for each module), or under transformers' settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.coverage import Linears, oriented
from weightscope.quantization.common.float8 import to_float32
from weightscope.quantization.common.method import SCALES, Told, is_matrix
from weightscope.quantization.common.modules import PLACE
from weightscope.quantization.common.planes import unpack_planes
from weightscope.quantization.common.reading import read_parts
from weightscope.quantization.common.settings import word
from weightscope.sizes import Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

# What quanto and transformers call a type of weights: bits of a code, and the element types of 8-bit ones.
TYPES = {
    "qint2": (2, "U8"),
    "qint4": (4, "U8"),
    "qint8": (8, "I8"),
    "qfloat8": (8, "F8_E4M3"),
    "qfloat8_e4m3fn": (8, "F8_E4M3"),
    "qfloat8_e4m3fnuz": (8, "F8_E4M3FNUZ"),
    "qfloat8_e5m2": (8, "F8_E5M2"),
}
BYTE = 8
LARGEST_GROUP, STEP = 128, 32
# Zero points that were not yet multiplied by the scale, as older versions store them.
WHOLE_SHIFTS = frozenset({"I8", "U8"})
POSITIVE = Bounds(least=0.0, most=1e4, zero=False, words="scales", why="a scale is a step between two codes")


def method(config: Config, settings: dict[str, Any]) -> Quanto:
    """From a `quantization_config` with `quant_method` quanto, or the entries of quanto_qmap.json.

    Raises:
        ConfigError: settings that are none of quanto's.
        UndeclaredError: a type of weights that is not implemented.
    """
    if "quant_method" in settings:
        excluded = settings.get("modules_to_not_convert")
        return Quanto(
            dtype=_type(config, f"q{word(config, settings, 'weights', 'int8')}"),
            linears=Linears.of(config, "modules_to_not_convert", excluded),
        )
    modules = {}
    for name, own in settings.items():
        if not isinstance(own, dict):
            raise config.error(f"quanto_qmap.json has {own!r:.60} for {name!r:.60}, not an object")
        kind = word(config, own, "weights", "none")
        if kind != "none":
            modules[name] = _type(config, kind)
    return Quanto(modules=modules, blank=frozenset(PLACE.sub("{}", name) for name in modules))


def _type(config: Config, name: str) -> str:
    if name not in TYPES:
        raise UndeclaredError(f"quantization 'quanto' of type {name:.40} is not implemented", where=config.source)
    return name


class Quanto(msgspec.Struct, frozen=True, kw_only=True):
    """The `modules` of a map with their types, else every Linear of `linears` with one `dtype`."""

    dtype: str = ""
    linears: Linears = Linears()
    modules: Mapping[str, str] = {}
    blank: frozenset[str] = frozenset()
    name: str = "quanto"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> QuantoWeight | None:
        """What the map says of the module, or the type of all."""
        if self.dtype:
            return of(stored, self.dtype) if self.linears.covers(stored, module) else None
        dtype = self.modules.get(module)
        return of(stored, dtype) if dtype and is_matrix(stored) else None

    def leaves_open(self, stored: Stored, module: str) -> QuantoWeight | None:
        """Without a map, matrices that are no attention's or feed-forward layer's."""
        return of(stored, self.dtype) if self.dtype and self.linears.leaves_open(stored, module) else None

    def singles_out(self, template: str) -> bool:
        """Whether settings may name single experts."""
        return (template.count("{}") > 1 and template in self.blank) or self.linears.singles_out(template)


def of(stored: Stored, dtype: str) -> QuantoWeight:
    """The scheme of a matrix."""
    rows, columns = oriented(stored)
    bits, kind = TYPES[dtype]
    group = _group_size(columns) if bits < BYTE else columns
    return QuantoWeight(
        bits=bits, kind=kind, rows=rows, columns=columns, group_size=group, transposed=stored.transposed
    )


def _group_size(columns: int) -> int:
    """The largest of 128, 96, 64 and 32 that divides a row, else the row."""
    sizes = range(LARGEST_GROUP, 0, -STEP)
    return next((size for size in sizes if columns > LARGEST_GROUP and columns % size == 0), columns)


class QuantoWeight(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix of `rows` outputs and `columns` inputs as `_data`, `_scale` and, below 8 bits, `_shift`.

    `kind` is the element type of the data. The scales of activations are 1 until somebody calibrates them.
    """

    bits: int
    kind: str
    rows: int
    columns: int
    group_size: int
    transposed: bool = False
    name: str = "quanto"
    rowwise: bool = False

    @property
    def words(self) -> str:
        """Width or type, and size of the groups."""
        what = f"{self.bits} bits" if self.kind in ("U8", "I8") else self.kind
        groups = "a scale for each row" if self.group_size == self.columns else f"groups of {self.group_size}"
        return f"quanto, {what}, {groups}"

    @property
    def formula(self) -> str:
        """Below 8 bits with a shift."""
        return "w = q · scale" if self.bits == BYTE else "w = q · scale - shift of its group"

    @property
    def packing(self) -> str:
        """How codes lie in bytes."""
        if self.bits == BYTE:
            return ""
        return f"{BYTE // self.bits} codes per byte, the first part of the groups in the lowest bits"

    def parts(self, name: str) -> tuple[str, ...]:
        """The codes, scales, shifts, and the scales of activations."""
        module = name.removesuffix(".weight")
        weight = ("_data._data", "_scale", "_shift") if self.bits < BYTE else ("_data", "_scale")
        activations = (f"{module}.input_scale", f"{module}.output_scale")
        return *(f"{name}.{leaf}" for leaf in weight), *activations

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Codes in groups, a scale and a shift for each."""
        rows, columns = stored.upright
        names = self.parts(stored.name)
        groups = rows if self.group_size == self.columns else rows * (columns // self.group_size)
        per = BYTE // self.bits
        packed = groups if per == 1 else Size(-(-groups // per), f"{groups.text}/{per}", groups.keys)
        side = replace(stored, kind=Kind.SCALE, transposed=False)
        width = columns if self.group_size == self.columns else Size(self.group_size)
        shifts = [replace(side, name=names[2], shape=(groups, Size(1)), dtypes=SCALES | WHOLE_SHIFTS)]
        return (
            replace(stored, name=names[0], shape=(packed, width), dtypes=frozenset({self.kind}), transposed=False),
            replace(side, name=names[1], shape=(groups, Size(1)), also=((groups,),), dtypes=SCALES, bounds=POSITIVE),
            *(shifts if self.bits < BYTE else ()),
            *(replace(side, name=name, shape=(), dtypes=SCALES, optional=True) for name in names[-2:]),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Code · scale, less the shift.

        Raises:
            CheckpointError: tensors of other shapes or types.
        """
        matrix = Stored(name=name, shape=(Size(self.rows), Size(self.columns)), parts=())
        *needed, _, _ = self.expand(matrix)
        data, scale, *shifts = read_parts(needed, raw)
        scale = scale.float().reshape(-1, 1)
        if self.bits == BYTE:
            values = to_float32(data).mul_(scale)
        else:
            codes = unpack_planes(data, self.bits, BYTE // self.bits, len(scale), high_first=False)
            (shift,) = shifts
            if shift.is_floating_point():
                values = codes.mul_(scale).sub_(shift.float())
            else:
                values = codes.sub_(shift.float()).mul_(scale)
        weight = values.view(self.rows, self.columns)
        return weight.T if self.transposed else weight


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: dict[str, Any]) -> Told | None:
    """By the names: packed codes have a name of their own; how many share a byte, the scales tell."""
    del settings
    scale = found.get(".weight._scale")
    whole, packed = found.get(".weight._data"), found.get(".weight._data._data")
    data = whole or packed
    if data is None or scale is None or len(data.shape) != 2 or len(scale.shape) != 2:
        return None
    groups, size = scale.shape[0], data.shape[1]
    bits = BYTE if whole else next((b for b in (2, 4) if data.shape[0] == -(-groups * b // BYTE)), 0)
    told = shape or (groups, size)
    if not bits or not groups or len(told) != 2 or told[0] * told[1] != groups * size or told[1] % size:
        return None
    if whole and data.dtype not in {kind for bits, kind in TYPES.values() if bits == BYTE}:
        return None
    kind = data.dtype if whole else "U8"
    return Told(scheme=QuantoWeight(bits=bits, kind=kind, rows=told[0], columns=told[1], group_size=size), shape=told)
