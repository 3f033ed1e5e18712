"""How one weight of an architecture is read from the tensors of a GGUF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.gguf.values import Undo
from weightscope.gguf.weaving import Weave
from weightscope.ranges import numbers_in
from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Kind, Stored

if TYPE_CHECKING:
    import torch


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of the file: its name with `{}` for the layer, its shape, and the roles in it.

    For each role there are the weights that it has here (`counts`), its `rows` of dimension `along` where they lie one
    below another, and what of its values is undone, in order. `also` are other shapes that mean the same. `scale` is
    the tensor that all values, or those of each expert, are multiplied by; `unused` are tensors beside it that a pass
    has no use for.
    """

    template: str
    shape: Shape
    roles: tuple[Role, ...]
    counts: tuple[int, ...]
    undo: tuple[tuple[Undo, ...], ...]
    rows: tuple[int, ...] = ()
    along: int = 0
    also: tuple[Shape, ...] = ()
    scale: str = ""
    unused: tuple[str, ...] = ()

    @property
    def beside(self) -> tuple[str, ...]:
        """All tensors beside it."""
        return (*((self.scale,) if self.scale else ()), *self.unused)


class InGguf(msgspec.Struct, frozen=True, kw_only=True):
    """One weight of the architecture, `template` with a `{}` for the layer, as one or more `pieces`.

    `places` are the file's numbers of what the architecture counts from 0, where they are others. Where they are
    `stacked`, the piece holds what the architecture has under all numbers, one after another.
    """

    template: str
    pieces: tuple[Piece, ...]
    weave: Weave | None
    rowwise: bool
    places: tuple[int, ...] = ()
    stacked: bool = False
    name: str = "gguf"
    words: str = "GGUF"
    formula: str = ""
    packing: str = ""

    def parts(self, name: str) -> tuple[str, ...]:
        """The names of the pieces, in the layer of that name, and those of their scales."""
        layer = [self.place(number) for number in self._numbers(name)]
        scales = (piece.scale for piece in self.pieces if piece.scale)
        return tuple(template.format(*layer) for template in (*(piece.template for piece in self.pieces), *scales))

    def place(self, number: int) -> int:
        """The file's number of what the architecture has under this one."""
        return self.places[number] if number < len(self.places) else number

    def _numbers(self, name: str) -> tuple[int, ...]:
        return numbers_in(self.template, name) or ()

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The pieces, each with its share of the weight, and what lies beside them."""
        return (*self._pieces(stored), *self._beside(stored))

    def _pieces(self, stored: Stored) -> tuple[Stored, ...]:
        return tuple(
            replace(
                stored,
                name=piece.template,
                shape=piece.shape,
                parts=tuple(zip(piece.roles, piece.counts, strict=True)),
                transposed=False,
                also=piece.also,
                layout="; ".join(_words(piece)),
            )
            for piece in self.pieces
        )

    def _beside(self, stored: Stored) -> Iterator[Stored]:
        for piece in self.pieces:
            count = piece.shape[0] if len(piece.shape) > 2 else Size(1)
            for template in piece.beside:
                yield Stored(
                    name=template,
                    shape=(count,),
                    parts=tuple((role, int(count)) for role in piece.roles),
                    kind=Kind.SCALE,
                    optional=stored.optional or template in piece.unused,
                )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The weight in the architecture's own layout."""
        found: list[torch.Tensor] = []
        names = iter(self.parts(name))
        whole = [raw(next(names)) for _ in self.pieces]
        if self.stacked:
            return whole[0][self._numbers(name)[0]]
        for held, piece in zip(whole, self.pieces, strict=True):
            tensor = _scaled(held, raw(next(names))) if piece.scale else held
            several = self.weave is not None and len(piece.roles) > 1
            apart = tensor.split(piece.rows, dim=piece.along) if several else (tensor,)  # type: ignore[no-untyped-call]
            for matrix, undo in zip(apart, piece.undo, strict=False):
                upright = matrix
                for step in undo:
                    upright = step(upright)
                found.append(upright)
        return found[0] if self.weave is None else self.weave(found)


def _scaled(tensor: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Times one number, or for each entry of the first dimension its own."""
    return tensor * scale.float().reshape(-1, *(1,) * (tensor.dim() - 1))


def _words(piece: Piece) -> Iterator[str]:
    if len(piece.rows) > 1:
        yield "rows are " + ", ".join(f"{rows:,} of {role}" for rows, role in zip(piece.rows, piece.roles, strict=True))
    said = dict.fromkeys(step.words for undo in piece.undo for step in undo if step.words)
    for words in said:
        of = [str(role) for role, undo in zip(piece.roles, piece.undo, strict=True) if words in {s.words for s in undo}]
        yield f"{' and '.join(of)}: {words}" if len(piece.roles) > 1 else words
