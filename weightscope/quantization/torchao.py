"""torchao's weight-only types as it writes them to safetensors: tensor subclasses taken apart into plain tensors.

Format: `flatten_tensor_state_dict`: `x.weight` is `x._weight_qdata`, `x._weight_scale` and, of integers,
`x._weight_zero_point`. Which class they are of follows from `quant_type`, which names torchao's config class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.codebook import look_up
from weightscope.quantization.common.coverage import Linears, oriented, role_of
from weightscope.quantization.common.float8 import to_float32
from weightscope.quantization.common.method import SCALES, Told, is_matrix
from weightscope.quantization.common.overrides import Overrides
from weightscope.quantization.common.reading import read_optional, read_parts
from weightscope.quantization.common.settings import flag, whole, word
from weightscope.quantization.common.shapes import blocks, words
from weightscope.roles import TABLES, Role
from weightscope.sizes import Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

Settings = dict[str, Any]
# torchao's config classes by what they store; those that quantize activations as well store weights alike.
CLASSES = {
    "Int8WeightOnlyConfig": "int8",
    "Int8DynamicActivationInt8WeightConfig": "int8",
    "Float8WeightOnlyConfig": "float8",
    "Float8DynamicActivationFloat8WeightConfig": "float8",
    "Int4WeightOnlyConfig": "int4",
    "IntxWeightOnlyConfig": "int8",
    "Int8DynamicActivationIntxWeightConfig": "int8",
}
BY_MODULE = ("FqnToConfig", "ModuleFqnToConfig")
# What each kind stores its codes as; int4 has two of them in a byte.
ELEMENTS = {
    "int8": frozenset({"I8"}),
    "float8": frozenset({"F8_E4M3", "F8_E5M2"}),
    "int4": frozenset({"I8", "U8"}),
}
# Groups of all inputs, and of everything.
ROW, TENSOR = 0, -1
PACKINGS = ("plain", "unpacked_to_int8")
POSITIVE = Bounds(least=0.0, most=1e4, zero=False, words="scales", why="a scale is a step between two codes")


def method(config: Config, settings: Settings) -> TorchAO:
    """From a `quantization_config` with `quant_method` torchao.

    Raises:
        ConfigError: settings that are none of torchao's.
        UndeclaredError: a class of torchao's, a packing or a granularity that is not implemented.
    """
    said = settings.get("quant_type")
    if isinstance(said, dict) and "default" in said:
        said = said["default"]
    if not isinstance(said, dict):
        # Before 0.10, a name such as int4_weight_only: that was never written to safetensors.
        raise UndeclaredError(f"quantization 'torchao' as {said!r:.40} is not implemented", where=config.source)
    form, own = _forms(config, said)
    return TorchAO(
        form=form,
        own=own,
        linears=Linears.of(config, "modules_to_not_convert", settings.get("modules_to_not_convert")),
        tables=flag(config, settings, "include_input_output_embeddings"),
    )


def _forms(config: Config, said: Settings) -> tuple[Form | None, Overrides[Form | None]]:
    """The settings of all modules, and those of single ones."""
    if said.get("_type") not in BY_MODULE:
        return _form(config, said), Overrides()
    data = said.get("_data")
    modules = data.get("fqn_to_config") or data.get("module_fqn_to_config") if isinstance(data, dict) else None
    if not isinstance(modules, dict) or not all(isinstance(own, dict | None) for own in modules.values()):
        raise config.error("quant_type names settings of modules, and has none")
    found = {name: _form(config, own) if own else None for name, own in modules.items()}
    default = found.pop("_default", None)
    # A pattern is told by its prefix; what else there is are names, of a module or of its weight.
    entries = {
        f"^(?:{name[3:]})$" if name.startswith("re:") else f"^{re.escape(name.removesuffix('.weight'))}$": form
        for name, form in found.items()
    }
    return default, Overrides.of(config, "quant_type", entries)


def _form(config: Config, said: Settings) -> Form:
    name, data = said.get("_type"), said.get("_data")
    kind = CLASSES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UndeclaredError(f"quantization 'torchao' as {name!r:.60} is not implemented", where=config.source)
    if not isinstance(data, dict):
        raise config.error(f"quant_type has {data!r:.60} for {name}")
    for key in ("int4_packing_format", "intx_packing_format"):
        packing = data.get(key)
        given = packing.get("_data") if isinstance(packing, dict) else packing
        if given is not None and word(config, {key: given}, key) not in PACKINGS:
            raise UndeclaredError(
                f"quantization 'torchao' packed as {given:.40} is not implemented", where=config.source
            )
    return Form(kind=kind, group_size=_group_size(config, data, kind))


def _group_size(config: Config, data: Settings, kind: str) -> int:
    """How many inputs share a scale: a number, all (ROW), or all of the matrix (TENSOR)."""
    granularity = data.get("granularity", data.get("weight_granularity"))
    if granularity is None:
        size = data.get("group_size")
        default = 128 if kind == "int4" else ROW
        return default if size is None else whole(config, data, "group_size")
    if isinstance(granularity, list):
        # Of weights and activations, in the order in which torchao takes them: the same for both, or refused by it.
        granularity = granularity[-1] if granularity else None
    name = granularity.get("_type") if isinstance(granularity, dict) else None
    inner = granularity.get("_data") if isinstance(granularity, dict) else None
    sizes = {"PerRow": ROW, "PerAxis": ROW, "PerTensor": TENSOR}
    axis = inner.get("axis", 0) if isinstance(inner, dict) else 0
    if name == "PerGroup" and isinstance(inner, dict):
        return whole(config, inner, "group_size")
    if name not in sizes or axis != 0:
        raise UndeclaredError(
            f"quantization 'torchao' with scales {name!r:.40} is not implemented", where=config.source
        )
    return sizes[str(name)]


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say of a module: the kind of codes, and how many inputs share a scale."""

    kind: str
    group_size: int

    def of(self, stored: Stored) -> TorchAOWeight:
        """The scheme of a matrix."""
        rows, columns = oriented(stored)
        return TorchAOWeight(
            kind=self.kind, group_size=self.group_size, rows=rows, columns=columns, transposed=stored.transposed
        )


class TorchAO(msgspec.Struct, frozen=True, kw_only=True):
    """Every Linear of `linears` in one `form`, with `tables` embeddings and head too; `own` have forms of their own."""

    form: Form | None
    own: Overrides[Form | None] = Overrides()
    linears: Linears = Linears()
    tables: bool = False
    name: str = "torchao"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> TorchAOWeight | None:
        """Quantized, for what the settings cover."""
        own = self.own.find(module)
        form = own[0] if own else self.form
        if form is None or not is_matrix(stored):
            return None
        table = self.tables and role_of(stored) in (Role.TOKEN_EMBEDDING, Role.LM_HEAD)
        named = own is not None and role_of(stored) not in TABLES
        return form.of(stored) if table or named or self.linears.covers(stored, module) else None

    def leaves_open(self, stored: Stored, module: str) -> TorchAOWeight | None:
        """Other matrices, where they are not left out by name."""
        undecided = self.form is not None and self.own.find(module) is None
        return self.form.of(stored) if undecided and self.form and self.linears.leaves_open(stored, module) else None

    def singles_out(self, template: str) -> bool:
        """Whether settings may name single experts."""
        return self.own.singles_out(template) or self.linears.singles_out(template)


class TorchAOWeight(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix of `rows` outputs and `columns` inputs as `_weight_qdata`, `_weight_scale`, `_weight_zero_point`."""

    kind: str
    group_size: int
    rows: int
    columns: int
    transposed: bool = False
    name: str = "torchao"
    rowwise: bool = False

    @property
    def words(self) -> str:
        """The kind of codes and what shares a scale."""
        shared = {ROW: "a scale for each row", TENSOR: "one scale"}.get(self.group_size, f"groups of {self.group_size}")
        return f"torchao, {self.kind}, {shared}"

    @property
    def formula(self) -> str:
        """int4's zero point is a weight, the others' a code."""
        return {
            "float8": "w = q · scale",
            "int8": "w = (q - zero_point) · scale",
            "int4": "w = q · scale + zero_point, q from -8 to 7",
        }[self.kind]

    @property
    def packing(self) -> str:
        """How codes lie in bytes."""
        return "two 4-bit codes per byte along the inputs, lower half first" if self.kind == "int4" else ""

    def parts(self, name: str) -> tuple[str, ...]:
        """The codes, scales and, of integers, zero points."""
        module = name.removesuffix(".weight")
        leaves = ("qdata", "scale") if self.kind == "float8" else ("qdata", "scale", "zero_point")
        return tuple(f"{module}._weight_{leaf}" for leaf in leaves)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Codes (out, in), scales (out, groups); int4's scales are (groups, out)."""
        rows, columns = stored.upright
        names = self.parts(stored.name)
        four = self.kind == "int4"
        size = self.group_size if self.group_size > 0 else self.columns
        groups = blocks(columns, size)
        of = (Size(1), Size(1)) if self.group_size == TENSOR else (groups, rows) if four else (rows, groups)
        also = ((), (Size(1),)) if self.group_size == TENSOR else ()
        packed = (rows, words(columns, 4, 8) if four else columns)
        side = replace(stored, shape=of, also=also, kind=Kind.SCALE, transposed=False)
        points = SCALES if four else frozenset({"I8", "I32", "I64"}) | SCALES
        return (
            replace(stored, name=names[0], shape=packed, dtypes=ELEMENTS[self.kind], transposed=False),
            replace(side, name=names[1], dtypes=SCALES, bounds=POSITIVE),
            *(replace(side, name=name, dtypes=points, optional=not four) for name in names[2:]),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The weight by its formula, in float32.

        Raises:
            CheckpointError: tensors of other shapes or types.
        """
        matrix = Stored(name=name, shape=(Size(self.rows), Size(self.columns)), parts=())
        expanded = self.expand(matrix)
        data, scale = read_parts(expanded[:2], raw)
        points = read_optional(expanded[2], raw) if len(expanded) > 2 else None
        if self.kind == "int4":
            weight = self._four(data, scale, read_parts(expanded[2:], raw)[0] if points is None else points)
        else:
            weight = to_float32(data)
            if points is not None:
                weight.sub_(self._spread(points))
            weight.mul_(self._spread(scale))
        return weight.T if self.transposed else weight

    def _four(self, data: torch.Tensor, scale: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Codes in two's complement: 8 to 15 are 16 more than they stand for."""
        import torch

        values = torch.tensor([*range(8), *range(-8, 0)], dtype=torch.float32, device=data.device)
        steps, plus = (part.T.float().flatten() for part in (scale, points))
        codes = data.contiguous().view(torch.uint8).flatten()
        size = self.columns // scale.shape[0]
        return look_up(codes, values, steps, size, high_first=False, plus=plus).view(self.rows, self.columns)

    def _spread(self, scale: torch.Tensor) -> torch.Tensor:
        """Each scale for all inputs of its group, as far as that is not done by broadcasting."""
        scale = scale.float().reshape(-1, scale.shape[-1] if scale.dim() > 1 else 1)
        if scale.shape[1] == 1:
            return scale
        return scale.repeat_interleave(self.group_size, 1)[:, : self.columns]


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: Settings) -> Told | None:
    """By the element type of the codes; int4's scales are turned."""
    del settings
    data, scale = found.get("._weight_qdata"), found.get("._weight_scale")
    if data is None or scale is None or len(data.shape) != 2 or len(scale.shape) != 2:
        return None
    rows, width = data.shape
    if data.dtype in ELEMENTS["float8"]:
        kind, columns, groups = "float8", width, scale.shape[1]
    elif shape is not None and shape[1] == width and data.dtype == "I8":
        kind, columns, groups = "int8", width, scale.shape[1]
    elif scale.shape[1] == rows and shape in (None, (rows, width * 2)) and (shape or scale.shape[0] > 1):
        kind, columns, groups = "int4", width * 2, scale.shape[0]
    elif data.dtype == "I8" and (scale.shape[0] == rows or scale.shape == (1, 1)):
        kind, columns, groups = "int8", width, scale.shape[1]
    else:
        return None
    if (shape and shape != (rows, columns)) or not groups or columns % groups:
        return None
    size = TENSOR if scale.shape == (1, 1) and rows > 1 else ROW if groups == 1 else columns // groups
    return Told(scheme=TorchAOWeight(kind=kind, group_size=size, rows=rows, columns=columns), shape=(rows, columns))
