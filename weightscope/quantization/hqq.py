"""HQQ: codes of 1 to 8 bits with a scale and a zero point, neither rounded, for each group along a row or a column.

Format: `HQQLinear.state_dict` as hqq and transformers save it to safetensors: `W_q`, `scale`, `zero`, and each of its
settings as a tensor of its own (`nbits`, `group_size`, `shape`, `axis`, …).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.coverage import Linears, oriented
from weightscope.quantization.common.method import SCALES, Told
from weightscope.quantization.common.planes import unpack_planes
from weightscope.quantization.common.reading import read_optional, read_parts, refuse
from weightscope.quantization.common.settings import flag, whole
from weightscope.sizes import Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

# Codes to an element by the width of a code, and what an element is; 3 bits come in words, 10 at a time.
PLANES = {8: 1, 6: 1, 5: 1, 4: 2, 3: 10, 2: 4, 1: 8}
ELEMENTS = {10: "I32"}
# The settings that are tensors, by what they must be for a weight to be read: None where any value will do.
FLAGS = ("view_as_float", "quant_scale", "quant_zero")
ANY = (
    "packing", "unpack_view_dtype", "compute_dtype", "offload_meta", "encoded_state_dict", "stores_quant_config",
    "channel_wise", "optimize", "round_zero",
)  # fmt: skip
LEAVES = ("W_q", "scale", "zero", "nbits", "group_size", "shape", "axis", *FLAGS, *ANY)
STEPS = Bounds(least=0.0, most=1e5, zero=False, words="scales", why="a scale is a step between two codes")
NUMBERS = frozenset({"I32", "I64", "F32"})
Settings = dict[str, Any]


def method(config: Config, settings: Settings) -> HQQ:
    """From a `quantization_config` with `quant_method` hqq: settings for all, or for each kind of Linear.

    Raises:
        ConfigError: settings that are none of HQQ's.
        UndeclaredError: scales quantized again, codes stored as floats, one scale for a whole matrix.
    """
    own = settings.get("quant_config", settings)
    if not isinstance(own, dict):
        raise config.error(f"quant_config is {own!r:.60}, not an object")
    tags: dict[str, Form] = {}
    if "weight_quant_params" in own or "nbits" in own:
        form = _form(config, own)
    else:
        tags = {tag: _form(config, part) for tag, part in own.items() if isinstance(part, dict)}
        form = None
        if not tags:
            raise UndeclaredError("quantization 'hqq' without quant_config is not implemented", where=config.source)
    return HQQ(
        form=form, tags=tags, linears=Linears.of(config, "skip_modules", settings.get("skip_modules", ["lm_head"]))
    )


def _form(config: Config, settings: Settings) -> Form:
    own = settings.get("weight_quant_params", settings)
    if not isinstance(own, dict):
        raise config.error(f"weight_quant_params is {own!r:.60}, not an object")
    for key in ("scale_quant_params", "zero_quant_params"):
        if settings.get(key) is not None:
            raise UndeclaredError(f"quantization 'hqq' with {key} is not implemented", where=config.source)
    if flag(config, own, "view_as_float") or not flag(config, own, "channel_wise", default=True):
        what = "view_as_float" if own.get("view_as_float") else "channel_wise false"
        raise UndeclaredError(f"quantization 'hqq' with {what} is not implemented", where=config.source)
    # Ternary codes are called 1.58 bits, and stored in 2.
    bits = 2 if own.get("nbits") == 1.58 else whole(config, own, "nbits", 4)
    if bits not in PLANES:
        raise UndeclaredError(f"quantization 'hqq' with {bits} bits is not implemented", where=config.source)
    size = 0 if own.get("group_size", 64) is None else whole(config, own, "group_size", 64)
    return Form(planes=PLANES[bits], group_size=size, axis=whole(config, own, "axis", 1, least=0))


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """Codes to an element, a group's size (0 for a whole row or column), and the axis along which groups lie."""

    planes: int
    group_size: int
    axis: int

    def of(self, stored: Stored) -> HQQWeight:
        """The scheme of a matrix."""
        rows, columns = oriented(stored)
        size = self.group_size or (columns if self.axis else rows)
        return HQQWeight(
            planes=self.planes,
            group_size=size,
            axis=self.axis,
            rows=rows,
            columns=columns,
            transposed=stored.transposed,
        )


class HQQ(msgspec.Struct, frozen=True, kw_only=True):
    """Every Linear of `linears` in one `form`, or those whose kind is in `tags` (`self_attn.q_proj`)."""

    form: Form | None
    tags: Mapping[str, Form] = {}
    linears: Linears = Linears()
    name: str = "hqq"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> HQQWeight | None:
        """Quantized, for matrices of attention and feed-forward layers that are not skipped."""
        form = self._form(module)
        return form.of(stored) if form and self.linears.covers(stored, module) else None

    def leaves_open(self, stored: Stored, module: str) -> HQQWeight | None:
        """Other matrices, where they are not skipped by name."""
        form = self._form(module)
        return form.of(stored) if form and self.linears.leaves_open(stored, module) else None

    def singles_out(self, template: str) -> bool:
        """Whether the skipped modules may be single experts."""
        return self.linears.singles_out(template)

    def _form(self, module: str) -> Form | None:
        if self.form is not None:
            return self.form
        words = (word for word in module.split(".") if word not in ("model", "layers") and not word.isdecimal())
        return self.tags.get(".".join(words))


class HQQWeight(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix of `rows` outputs and `columns` inputs as `W_q`, `scale`, `zero` and its settings.

    Groups are `group_size` consecutive weights (axis 1), or as many that lie a whole number of groups apart (axis 0).
    """

    planes: int
    group_size: int
    axis: int
    rows: int
    columns: int
    transposed: bool = False
    name: str = "hqq"
    rowwise: bool = False
    formula: str = "w = (W_q - zero) · scale of its group"

    @property
    def _bits(self) -> int:
        return {1: 8, 2: 4, 4: 2, 8: 1, 10: 3}[self.planes]

    @property
    def words(self) -> str:
        """Width, size of the groups, axis."""
        return f"HQQ, {self._bits} bits in groups of {self.group_size} along axis {self.axis}"

    @property
    def packing(self) -> str:
        """How codes lie in elements."""
        if self.planes == 1:
            return ""
        return f"{self.planes} codes to an element, the first part of the rows in the highest bits"

    def parts(self, name: str) -> tuple[str, ...]:
        """Codes, scales, zero points, then the settings."""
        module = name.removesuffix(".weight")
        return tuple(f"{module}.{leaf}" for leaf in LEAVES)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Codes with as many to an element as there are planes, a scale and a zero point for each group."""
        rows, columns = stored.upright
        weight, scale, zero, nbits, group, shape, axis, *others = self.parts(stored.name)
        groups = Size(rows * columns // self.group_size, f"{(rows * columns).text}/{self.group_size}", ())
        lines, width = self._lines(groups)
        of = (groups, Size(1)) if self.axis else (Size(1), groups)
        side = replace(stored, kind=Kind.SCALE, transposed=False)
        number = replace(side, shape=(), optional=True, dtypes=NUMBERS)
        codes = frozenset({ELEMENTS.get(self.planes, "U8")})
        flags, texts = others[: len(FLAGS)], others[len(FLAGS) :]
        return (
            replace(stored, name=weight, shape=(lines, width), dtypes=codes, transposed=False),
            replace(side, name=scale, shape=of, dtypes=SCALES, bounds=STEPS),
            replace(side, name=zero, shape=of, dtypes=SCALES),
            replace(number, name=nbits),
            replace(number, name=group, bounds=_exactly(self.group_size, "group sizes")),
            replace(number, name=shape, shape=(Size(2),)),
            replace(number, name=axis, bounds=_exactly(self.axis, "axes")),
            *(replace(number, name=name, dtypes=frozenset({"U8"}), bounds=_exactly(0, "settings")) for name in flags),
            *(replace(side, name=name, shape=(), optional=True, opaque=True) for name in texts),
        )

    def _lines(self, groups: Size) -> tuple[Size, Size]:
        """The rows of the packed codes, and how long each is."""
        lines, width = (groups, Size(self.group_size)) if self.axis else (Size(self.group_size), groups)
        text = lines.text if self.planes == 1 else f"⌈{lines.text}/{self.planes}⌉"
        return Size(-(-lines // self.planes), text, lines.keys), width

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """(code - zero) · scale.

        Raises:
            CheckpointError: tensors of other shapes or types, or settings that contradict them.
        """
        matrix = Stored(name=name, shape=(Size(self.rows), Size(self.columns)), parts=())
        expanded = self.expand(matrix)
        packed, scale, zero = read_parts(expanded[:3], raw)
        self._agree(expanded, raw)
        lines = self.rows * self.columns // self.group_size if self.axis else self.group_size
        codes = unpack_planes(packed, self._bits, self.planes, lines, high_first=True)
        weight = codes.sub_(zero.float()).mul_(scale.float()).view(self.rows, self.columns)
        return weight.T if self.transposed else weight

    def _agree(self, expanded: tuple[Stored, ...], raw: Callable[[str], torch.Tensor]) -> None:
        """Whether the settings of the module are those of the scheme, as far as they are there."""
        wanted = {"group_size": [self.group_size], "shape": [self.rows, self.columns], "axis": [self.axis]}
        wanted |= {flag: [0] for flag in FLAGS}
        for part in expanded[3:]:
            leaf = part.name.rpartition(".")[2]
            if leaf not in (*wanted, "nbits"):
                continue
            found = read_optional(part, raw)
            values = None if found is None else found.flatten().tolist()
            if leaf == "nbits" and values is not None:
                # Ternary codes have a width that is no whole number.
                values = [PLANES.get(int(-(-values[0] // 1)), 0)] if values[0] > 0 else [0]
            if values is not None and values != wanted.get(leaf, [self.planes]):
                raise refuse(part.name, "contradicts the tensors beside it, or the settings in config.json")


def _exactly(value: int, words: str) -> Bounds:
    return Bounds(least=value, most=value, words=words, why="config.json, or the form of the tensors, says otherwise")


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: Settings) -> Told | None:
    """By the shapes: scales are a column or a row, codes as many times fewer as share an element."""
    del settings
    packed, scale = found.get(".W_q"), found.get(".scale")
    # SINQ's modules have more: a second scale.
    if not found.keys() <= {f".{leaf}" for leaf in LEAVES}:
        return None
    if packed is None or scale is None or len(packed.shape) != 2 or len(scale.shape) != 2 or min(scale.shape) != 1:
        return None
    axis, groups = (1, scale.shape[0]) if scale.shape[1] == 1 else (0, scale.shape[1])
    if shape is not None and (len(shape) != 2 or not groups or prod(shape) % groups):
        return None
    if shape is None and axis == 0 and packed.dtype == "I32":
        return None
    fits = []
    for planes in dict.fromkeys(PLANES.values()):
        size = prod(shape) // groups if shape else packed.shape[1] if axis else packed.shape[0] * planes
        lines, width = (groups, size) if axis else (size, groups)
        if packed.shape == (-(-lines // planes), width) and packed.dtype == ELEMENTS.get(planes, "U8"):
            fits.append((planes, size))
    # Without the shape, along axis 0, any number of codes would do.
    if len(fits) != 1:
        return None
    (planes, size), (rows, columns) = fits[0], shape or (groups, fits[0][1])
    scheme = HQQWeight(planes=planes, group_size=size, axis=axis, rows=rows, columns=columns)
    return Told(scheme=scheme, shape=(rows, columns))
