"""AWQ: 4-bit integers with a scale and a zero point for each group of inputs, in the layouts of its kernels.

Format: AutoAWQ's `WQLinear_GEMM` (`version` gemm), `WQLinear_GEMV` (gemv) and `WQLinear_GEMVFast` (gemv_fast), and
llm-awq's own `WQLinear`, which is gemv_fast under another name for the zero points.
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
from weightscope.quantization.common.awq_layouts import gemm_codes, gemv_fast_codes, zeros_width
from weightscope.quantization.common.bits import unpack
from weightscope.quantization.common.codebook import look_up
from weightscope.quantization.common.coverage import is_core, is_open, oriented, role_of
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.grouped import dequantize
from weightscope.quantization.common.method import SCALES, Told, is_matrix
from weightscope.quantization.common.overrides import Overrides, dynamic
from weightscope.quantization.common.reading import read_parts
from weightscope.quantization.common.settings import flag, group_size, whole, word
from weightscope.quantization.common.shapes import blocks, words
from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

BITS = 4
# What configs call a layout; kernels that convert it once it is loaded are stored as gemm.
LAYOUTS = {
    "gemm": "gemm",
    "exllama": "gemm",
    "exllama_v2": "gemm",
    "exllamav2": "gemm",
    "ipex": "gemm",
    "gemv": "gemv",
    "gemv_fast": "gemv_fast",
    "llm-awq": "llm-awq",
    "llm_awq": "llm-awq",
}
INTEGERS, HALVES = frozenset({"I32"}), frozenset({"I16"})
# What the kernels of gemv and gemv_fast have zero points for.
KERNEL_GROUPS = (32, 64)
POSITIVE = Bounds(least=0.0, most=1e3, zero=False, words="scales", why="a scale is a step between two codes")
PADDED = Bounds(least=0.0, most=1e3, words="scales", why="a scale is a step between two codes")


def method(config: Config, settings: dict[str, Any]) -> AWQ:
    """From a `quantization_config` with `quant_method` awq, or AutoAWQ's and llm-awq's quant_config.json.

    Raises:
        ConfigError: settings that are none of AWQ's.
        UndeclaredError: a width or layout that is not implemented.
    """
    return AWQ(
        form=form_of(config, settings),
        head=flag(config, settings, "lm_head"),
        excluded=Excluded.of(config, "modules_to_not_convert", settings.get("modules_to_not_convert")),
        own=dynamic(config, settings, partial(form_of, config)),
    )


def form_of(config: Config, settings: dict[str, Any]) -> Form:
    """The settings of one module.

    Raises:
        ConfigError: settings that are none of AWQ's.
        UndeclaredError: a width or layout that is not implemented.
    """
    named = next((key for key in ("bits", "w_bit") if key in settings), "")
    bits = whole(config, settings, named) if named else BITS
    if bits != BITS:
        raise UndeclaredError(f"quantization 'awq' with {bits} bits is not implemented", where=config.source)
    keys = ("version", "checkpoint_format", "format")
    said = next(filter(None, (word(config, settings, key) for key in keys)), "gemm")
    if said not in LAYOUTS:
        raise UndeclaredError(f"quantization 'awq' packed as {said:.40} is not implemented", where=config.source)
    size = group_size(config, settings, "group_size" if "group_size" in settings else "q_group_size", 128)
    layout = LAYOUTS[said]
    if layout != "gemm" and 0 < size < 128 and size not in KERNEL_GROUPS:
        raise UndeclaredError(
            f"quantization 'awq' in groups of {size} for {said} is not implemented", where=config.source
        )
    flag(config, settings, "zero_point", default=True)
    return Form(layout=layout, group_size=size)


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say of a module: a `group_size` of 0 is the whole row."""

    layout: str
    group_size: int

    def of(self, stored: Stored) -> PackedAWQ:
        """The scheme of a matrix."""
        rows, columns = oriented(stored)
        size = min(self.group_size or columns, columns)
        return PackedAWQ(layout=self.layout, rows=rows, columns=columns, group_size=size, transposed=stored.transposed)


class AWQ(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of all layers but those in `excluded`; `own` have settings of their own."""

    form: Form
    head: bool = False
    excluded: Excluded = Excluded()
    own: Overrides[Form | None] = Overrides()
    name: str = "awq"
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> PackedAWQ | None:
        """Packed, for the matrices of attention and feed-forward layers that are not left out."""
        if not is_matrix(stored) or self._is_out(module):
            return None
        own = self.own.find(module)
        form = own[0] if own else self.form
        head = role_of(stored) is Role.LM_HEAD and self.head
        covered = is_core(stored, module) or head or (own is not None and is_open(stored, module))
        return form.of(stored) if form and covered else None

    def leaves_open(self, stored: Stored, module: str) -> PackedAWQ | None:
        """Of other matrices in layers the settings say nothing."""
        undecided = is_open(stored, module) and not self._is_out(module) and not self.own.find(module)
        return self.form.of(stored) if undecided else None

    def variants(self, said: object) -> tuple[PackedAWQ, ...]:
        """llm-awq's settings do not say which of its layouts it is."""
        if not isinstance(said, PackedAWQ) or said.layout not in ("gemm", "llm-awq", "gemv_fast"):
            return ()
        return tuple(replace(said, layout=layout) for layout in ("gemm", "llm-awq", "gemv_fast"))

    def singles_out(self, template: str) -> bool:
        """Whether settings may name single experts."""
        return self.excluded.singles_out(template) or self.own.singles_out(template)

    def _is_out(self, module: str) -> bool:
        return self.excluded.holds(module) or self.excluded.holds_part(module)


class PackedAWQ(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix of `rows` outputs and `columns` inputs as `qweight`, zero points and `scales`."""

    layout: str
    rows: int
    columns: int
    group_size: int
    transposed: bool = False
    name: str = "awq"
    rowwise: bool = False

    @property
    def words(self) -> str:
        """Width, size of the groups and layout."""
        groups = "one group per row" if self.group_size == self.columns else f"groups of {self.group_size}"
        return f"AWQ, {BITS} bits in {groups}, {self.layout}"

    @property
    def formula(self) -> str:
        """The faster layouts store the zero points times the scales, negated."""
        if self.layout in ("gemm", "gemv"):
            return "w = (q - qzeros) · scale of its group"
        return f"w = q · scale + {self._zeros} of its group"

    @property
    def packing(self) -> str:
        """How codes lie in words."""
        return {
            "gemm": "8 codes per 32-bit word along the outputs, lowest bits first: 0, 2, 4, 6, 1, 3, 5, 7",
            "gemv": "8 codes per 32-bit word along the inputs, lowest bits first",
        }.get(self.layout, "4 codes to a 16-bit word, one of each of 4 rows, inputs in the kernel's order")

    @property
    def _zeros(self) -> str:
        return "scaled_zeros" if self.layout == "llm-awq" else "qzeros"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed words, zero points, scales."""
        module = name.removesuffix(".weight")
        return tuple(f"{module}.{leaf}" for leaf in ("qweight", self._zeros, "scales"))

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same with the shapes of the layout."""
        rows, columns = stored.upright
        weight, zeros, scales = self.parts(stored.name)
        packed, points, steps = self._shapes(rows, columns)
        fast = self.layout in ("gemv_fast", "llm-awq")
        groups = -(-columns // self.group_size)
        padded = self.layout != "gemm" and groups not in map(int, steps)
        side = replace(stored, kind=Kind.SCALE, transposed=False)
        return (
            replace(stored, name=weight, shape=packed, dtypes=HALVES if fast else INTEGERS, transposed=False),
            replace(side, name=zeros, shape=points, dtypes=SCALES if fast else INTEGERS),
            replace(side, name=scales, shape=steps, dtypes=SCALES, bounds=PADDED if padded else POSITIVE),
        )

    def _shapes(self, rows: Size, columns: Size) -> tuple[Shape, Shape, Shape]:
        """Of the codes, the zero points, the scales."""
        if self.layout == "gemm":
            groups = blocks(columns, self.group_size)
            return (columns, words(rows, BITS)), (groups, words(rows, BITS)), (groups, rows)
        width = Size(zeros_width(columns, self.group_size))
        if self.layout == "gemv":
            return (rows, words(columns, BITS)), (rows, width), (rows, Size(width * 8))
        return (blocks(rows, 4), columns), (Size(width * 8), rows), (Size(width * 8), rows)

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """(code - zero) · scale, or code · scale + zero.

        Raises:
            CheckpointError: tensors of other shapes or types.
        """
        matrix = Stored(name=name, shape=(Size(self.rows), Size(self.columns)), parts=())
        packed, zeros, scales = read_parts(self.expand(matrix), raw)
        if self.layout == "gemm":
            found = self._gemm(packed, zeros, scales).T
        elif self.layout == "gemv":
            found = self._gemv(packed, zeros, scales)
        else:
            found = self._fast(packed, zeros, scales)
        return found.T if self.transposed else found

    @property
    def _groups(self) -> int:
        return -(-self.columns // self.group_size)

    def _gemm(self, packed: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Float32 (in, out)."""
        import torch

        points = torch.empty(scales.shape, dtype=torch.float32, device=scales.device)
        gemm_codes(zeros, points)
        return dequantize(
            lambda start, stop, out: gemm_codes(packed[start:stop], out), points, scales, self.columns, self.group_size
        )

    def _gemv(self, packed: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Float32 (out, in): two inputs to a byte."""
        import torch

        points = unpack(zeros, BITS, self._groups).float().flatten()
        steps = scales[:, : self._groups].flatten()
        values = torch.arange(16.0, device=packed.device)
        codes = packed.contiguous().view(torch.uint8).flatten()
        found = look_up(codes, values, steps, self.group_size, high_first=False, less=points)
        return found.view(self.rows, self.columns)

    def _fast(self, packed: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Float32 (out, in): zero points were multiplied by the scales, so that they are added to the product."""
        values = gemv_fast_codes(packed, self.rows, self.columns).float()
        steps, points = (part[: self._groups].T.float().unsqueeze(-1) for part in (scales, zeros))
        grouped = values.view(self.rows, self._groups, -1)
        return grouped.mul_(steps).add_(points).flatten(1)


def recognize(found: Mapping[str, TensorEntry], shape: tuple[int, ...] | None, settings: dict[str, Any]) -> Told | None:
    """By the codes' shape: gemm packs along the outputs, gemv along the inputs, both 8 to a word."""
    del settings
    packed, scales = found.get(".qweight"), found.get(".scales")
    zeros = found.get(".qzeros") or found.get(".scaled_zeros")
    if packed is None or zeros is None or scales is None or ".g_idx" in found:
        return None
    if any(len(entry.shape) != 2 for entry in (packed, zeros, scales)):
        return None
    for layout, rows, columns, groups in _readings(packed, scales, scaled=".scaled_zeros" in found):
        sizes = {columns // groups} if groups and columns % groups == 0 else set()
        if layout != "gemm":
            sizes = {size for size in (32, 64, 128, columns) if columns and zeros_width(columns, size) * 8 == groups}
        if len(sizes) != 1 or 0 in sizes or (shape and shape != (rows, columns)):
            continue
        scheme = PackedAWQ(layout=layout, rows=rows, columns=columns, group_size=sizes.pop())
        shapes = scheme._shapes(Size(rows), Size(columns))  # noqa: SLF001 - its own module
        if (packed.shape, zeros.shape, scales.shape) == shapes and packed.dtype in (
            HALVES if layout in ("gemv_fast", "llm-awq") else INTEGERS
        ):
            return Told(scheme=scheme, shape=(rows, columns))
    return None


def _readings(packed: TensorEntry, scales: TensorEntry, *, scaled: bool) -> tuple[tuple[str, int, int, int], ...]:
    """Layout, outputs, inputs and groups as each layout would have them."""
    fast = "llm-awq" if scaled else "gemv_fast"
    return (
        ("gemm", packed.shape[1] * 8, packed.shape[0], scales.shape[0]),
        ("gemv", packed.shape[0], packed.shape[1] * 8, scales.shape[1]),
        (fast, packed.shape[0] * 4, packed.shape[1], scales.shape[0]),
    )
