"""bitsandbytes' 4-bit codes in blocks that share a scale, perhaps quantized again; a JSON text has the true shape."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, prod
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.quantization.common.codebook import look_up
from weightscope.quantization.common.reading import check_length, read_parts, refuse
from weightscope.quantization.common.shapes import blocks, words
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Bounds, Kind, Stored

if TYPE_CHECKING:
    import torch

BLOCK, NESTED_BLOCK = 64, 256
# Other sizes that bitsandbytes knows: AMD's GPUs get 128.
OTHER_BLOCKS = (128, 256, 512, 1024, 2048, 4096)
# The JSON text is 80 to 200 bytes long.
MOST_STATE = 4096
FLOATS = frozenset({"F32"})
BLOCKS = Bounds(least=0.0, most=1e4, zero=False, words="scales", why="a scale is the largest weight of its block")
CODEBOOK = Bounds(least=-1.0, most=1.0, words="code values", why="codes stand for numbers between -1 and 1")


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How 4-bit codes are stored: which code, whether scales are quantized again, and the type of the elements."""

    code: str
    nested: bool
    storage: str


class FourBit(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix of `rows` outputs and `columns` inputs as `weight` (two codes a byte), scales, code values, a text.

    `block` is how many weights share a scale; the text has it, settings do not.
    """

    form: Form
    rows: int
    columns: int
    transposed: bool = False
    name: str = "bitsandbytes"
    rowwise: bool = False

    @property
    def words(self) -> str:
        """The code and whether scales are quantized again."""
        nested = ", scales quantized again" if self.form.nested else ""
        return f"bitsandbytes, {self.form.code} in blocks of {BLOCK}{nested}"

    @property
    def formula(self) -> str:
        """With the scales' own formula where they have one."""
        nested = ", absmax = nested_quant_map[absmax] · nested_absmax + nested_offset" if self.form.nested else ""
        return f"w = quant_map[code] · absmax of its block{nested}"

    @property
    def packing(self) -> str:
        """How codes lie in bytes."""
        what = "" if self.form.storage == "U8" else f", stored as {self.form.storage}"
        return f"two 4-bit codes per byte, high half first, row by row{what}"

    def parts(self, name: str) -> tuple[str, ...]:
        """Codes, scales, code values, those of the scales, the text."""
        nested = ("nested_absmax", "nested_quant_map") if self.form.nested else ()
        sides = ("absmax", "quant_map", *nested, f"quant_state.bitsandbytes__{self.form.code}")
        return name, *(f"{name}.{side}" for side in sides)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """All in one dimension; the length of the text is its own."""
        rows, columns = stored.shape
        return self._expanded(stored, rows * columns)

    def _expanded(
        self, stored: Stored, count: Size, block: int = BLOCK, nested_block: int = NESTED_BLOCK
    ) -> tuple[Stored, ...]:
        weight, scales, codes, *nested, state = self.parts(stored.name)
        width = DTYPE_BITS[self.form.storage]
        side = replace(stored, kind=Kind.SCALE, transposed=False)
        of, also = blocks(count, block), _also(count, block)
        twice = tuple(
            replace(side, name=name, shape=shape, dtypes=FLOATS, bounds=bounds, also=other)
            for name, shape, bounds, other in zip(
                nested,
                ((blocks(of, nested_block),), (Size(256),)),
                (BLOCKS, CODEBOOK),
                (tuple((blocks(n, nested_block),) for (n,) in also), ()),
                strict=False,
            )
        )
        return (
            replace(
                stored,
                name=weight,
                shape=(words(count, 4, width), Size(1)),
                dtypes=frozenset({self.form.storage}),
                transposed=False,
            ),
            replace(
                side,
                name=scales,
                shape=(of,),
                also=also,
                dtypes=frozenset({"U8"}) if nested else FLOATS,
                bounds=None if nested else BLOCKS,
            ),
            replace(side, name=codes, shape=(Size(16),), dtypes=FLOATS, bounds=CODEBOOK),
            *twice,
            replace(side, name=state, shape=(), dtypes=frozenset({"U8"}), opaque=True),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The value of each code · the scale of its block.

        Raises:
            CheckpointError: tensors of other shapes or types, or a text that says something else.
        """
        import torch

        blank = Stored(name=name, shape=(), parts=())
        text = self._expanded(blank, Size(1))[-1]
        (written,) = read_parts((text,), raw)
        check_length(text.name, written.numel(), MOST_STATE)
        state = self._state(text.name, bytes(written.flatten().tolist()))
        count = self.rows * self.columns
        expanded = self._expanded(blank, Size(count), state.blocksize, state.nested_blocksize or NESTED_BLOCK)
        needed = [replace(part, also=()) for part in expanded[:-1]]
        packed, scales, values, *nested = read_parts(needed, raw)
        if nested:
            scales = self._scales(scales, nested[0], nested[1], state)
        codes = packed.contiguous().view(torch.uint8).flatten()
        half = codes[: -(-count // 2)]
        weight = look_up(half, values, scales, state.blocksize, high_first=True)[:count].view(self.rows, self.columns)
        return weight.T if self.transposed else weight

    def _scales(self, codes: torch.Tensor, absmax: torch.Tensor, values: torch.Tensor, state: State) -> torch.Tensor:
        """Scales that were quantized again: code · the scale of its block, and an offset for all."""
        scales = values[codes.int()]
        of = absmax.repeat_interleave(state.nested_blocksize or NESTED_BLOCK)[: len(scales)]
        return scales * of + (state.nested_offset or 0.0)

    def check_text(self, name: str, read: Callable[[str, int], bytes], shape: Callable[[str], tuple[int, ...]]) -> None:
        """Hold the text beside a weight against settings and declaration.

        Raises:
            CheckpointError: it is none, or says something else.
        """
        _, scales, *_, text = self.parts(name)
        state = self._state(text, read(text, MOST_STATE))
        blocks_there = prod(shape(scales))
        if blocks_there != -(-self.rows * self.columns // state.blocksize):
            raise refuse(text, f"has blocks of {state.blocksize}, which does not fit {blocks_there:,} scales")

    def _state(self, name: str, text: bytes) -> State:
        """What the text says, if it is what the settings and the declaration say too."""
        try:
            state = msgspec.json.decode(text, type=State)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise refuse(name, f"is not a quant_state ({error!s:.100})") from None
        if tuple(state.shape) != (self.rows, self.columns):
            shape = [self.rows, self.columns]
            raise refuse(name, f"gives the shape {list(state.shape)[:8]}, but the architecture has {shape}")
        nested = (state.nested_blocksize, state.nested_offset, state.nested_dtype)
        if state.quant_type != self.form.code or (None in nested if self.form.nested else nested != (None,) * 3):
            raise refuse(name, "contradicts the tensors beside it")
        if state.nested_offset is not None and not isfinite(state.nested_offset):
            raise refuse(name, "has an offset that is not finite")
        return state


Block = Annotated[int, msgspec.Meta(ge=2, le=1 << 16, multiple_of=2)]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON text beside 4-bit codes, as `QuantState.as_dict` writes it."""

    quant_type: Literal["nf4", "fp4"]
    blocksize: Block
    dtype: Annotated[str, msgspec.Meta(max_length=20)]
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(max_length=8)]
    nested_blocksize: Block | None = None
    nested_dtype: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    nested_offset: float | None = None


def _also(count: Size, block: int) -> tuple[Shape, ...]:
    """The scales for blocks of other sizes."""
    return tuple((blocks(count, other),) for other in OTHER_BLOCKS if other != block)
