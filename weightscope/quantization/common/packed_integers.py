"""compressed-tensors' packed integers: 1 to 8 bits each in 32-bit words along a row, one bit stream.

Codes are stored as q + 2^(bits - 1), lowest bits first, so that the integers are signed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.errors import CheckpointError
from weightscope.quantization.common.beside import beside, scales
from weightscope.quantization.common.bits import BYTE, WORD, unpack, unpack_down
from weightscope.quantization.common.fp4 import pairs
from weightscope.quantization.common.grain import Grain
from weightscope.sizes import Size
from weightscope.storage.base import Bounds, Stored

if TYPE_CHECKING:
    import torch

WORDS = frozenset({"I32"})
INTEGERS = frozenset({"I64", "I32"})


class PackedIntegers(msgspec.Struct, frozen=True, kw_only=True):
    """A weight [R, C] as words [R, ⌈C·bits/32⌉], scales for each `grain` and its shape.

    `zeros`: zero points stand beside it, packed along the rows' dimension. `ordered`: the columns are not in the order
    of their groups, and `weight_g_idx` says whose each is.
    """

    name: str
    bits: int
    grain: Grain
    zeros: bool = False
    ordered: bool = False

    @property
    def rowwise(self) -> bool:
        """Whether a row's words and scales are a row of their own; zero points of several rows share a word."""
        return self.grain.rowwise and not self.zeros

    @property
    def words(self) -> str:
        """Width, and what shares a scale."""
        joint = "in" if self.grain.columns else "with"
        order = ", columns ordered by activation" if self.ordered else ""
        kind = "asymmetric" if self.zeros else "symmetric"
        return f"{self.bits}-bit integers {joint} {self.grain.words}, {kind}{order}"

    @property
    def formula(self) -> str:
        """Signed code, less the zero point where there is one, times scale."""
        codes = "(q - weight_zero_point)" if self.zeros else "q"
        return f"w = {codes} · weight_scale{self.grain.whose}"

    @property
    def packing(self) -> str:
        """How the codes lie in words."""
        return (
            f"codes q + {1 << (self.bits - 1)} of {self.bits} bits in 32-bit words along the columns, lowest bits first"
        )

    def parts(self, name: str) -> tuple[str, ...]:
        """The words, the scales, the shape, then zero points and the groups of the columns where there are any."""
        leaves = ["weight_packed", "weight_scale", "weight_shape"]
        leaves += ["weight_zero_point"] * self.zeros + ["weight_g_idx"] * self.ordered
        return tuple(beside(name, leaf) for leaf in leaves)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same with shapes."""
        rows, columns = stored.shape
        grouped, also = self.grain.shape(stored.shape), self.grain.other_shapes(stored.shape)
        shape_bounds = Bounds(
            least=min(rows, columns), most=max(rows, columns), words="sizes", why="they are not those of the weight"
        )
        found = [
            replace(
                stored,
                name=beside(stored.name, "weight_packed"),
                shape=(rows, _words(columns, self.bits)),
                dtypes=WORDS,
            ),
            scales(stored, "weight_scale", grouped, also=also),
            scales(stored, "weight_shape", (Size(2),), dtypes=INTEGERS, bounds=shape_bounds),
        ]
        if self.zeros:
            packed = (_words(grouped[0], self.bits), *grouped[1:])
            found.append(scales(stored, "weight_zero_point", packed, dtypes=WORDS, bounds=None))
        if self.ordered:
            most = Bounds(least=0, most=int(grouped[-1]) - 1, words="groups", why="there is no such group")
            found.append(scales(stored, "weight_g_idx", (columns,), dtypes=INTEGERS, bounds=most))
        return tuple(found)

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Signed code · scale, or (signed code - zero point) · scale.

        Raises:
            CheckpointError: the tensors do not fit each other.
        """
        packed, scale, shape, *sides = (raw(part) for part in self.parts(name))
        columns = int(shape.reshape(-1)[-1])
        if not 0 < -(-columns * self.bits // WORD) == packed.shape[-1]:
            raise self._error(name, "weight_shape", f"says {columns} columns, the words are {list(packed.shape)}")
        zeros = self._zeros(name, sides[0], scale) if self.zeros else None
        order = self._order(name, sides[-1], scale) if self.ordered else None
        try:
            codes = partial(_fill, packed, self.bits)
            return self.grain.scaled(codes, (len(packed), columns), scale, zeros, order)
        except ValueError as error:
            raise self._error(name, "weight_scale", str(error)) from None

    def _zeros(self, name: str, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Zero points [R, groups] out of words [⌈R·bits/32⌉, groups]."""
        rows = scale.shape[0]
        if tuple(packed.shape) != (-(-rows * self.bits // WORD), *scale.shape[1:]):
            raise self._error(name, "weight_zero_point", f"is {list(packed.shape)}, weight_scale {list(scale.shape)}")
        return unpack_down(packed, self.bits, rows).float().sub_(1 << (self.bits - 1))

    def _order(self, name: str, groups: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """The group of each column [C]."""
        count = scale.shape[-1] if scale.dim() else 0
        if len(groups) and not 0 <= int(groups.min()) <= int(groups.max()) < count:
            raise self._error(name, "weight_g_idx", f"has numbers beyond its {count} groups")
        return groups.long()

    def _error(self, name: str, leaf: str, why: str) -> CheckpointError:
        return CheckpointError(f"{beside(name, leaf)} {why}", where=name, code="quantization-mismatch")


def _fill(words: torch.Tensor, bits: int, rows: slice, out: torch.Tensor) -> None:
    """Fill a float32 part [rows, C] with the signed codes of these rows of words."""
    import torch

    words, columns, half = words[rows].contiguous(), out.shape[-1], 1 << (bits - 1)
    if bits == BYTE // 2 and words.device.type == "cpu" and columns * bits == words.shape[-1] * WORD:
        table = pairs(tuple(map(float, range(-half, half))))
        torch.index_select(table, 0, words.view(torch.uint8).int().view(-1), out=out.view(torch.int64).view(-1))
    elif bits == BYTE:
        out.copy_(words.view(torch.uint8)[:, :columns]).sub_(half)
    else:
        out.copy_(unpack(words, bits, columns)).sub_(half)


def _words(count: Size, bits: int) -> Size:
    return Size(-(-count * bits // WORD), f"⌈{count.factor}·{bits}/{WORD}⌉", count.keys)
