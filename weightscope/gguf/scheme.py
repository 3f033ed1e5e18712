"""How one weight of an architecture is read from the tensors of a GGUF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.gguf.values import Undo
from weightscope.gguf.weaving import Weave
from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Stored

if TYPE_CHECKING:
    import torch


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of the file: its name with `{}` for the layer, its shape, and the roles in it.

    For each role there are the weights that it has here (`counts`), its `rows` of dimension `along`, and what of its
    values is undone, in order. `also` are other shapes that mean the same.
    """

    template: str
    shape: Shape
    roles: tuple[Role, ...]
    counts: tuple[int, ...]
    undo: tuple[tuple[Undo, ...], ...]
    rows: tuple[int, ...] = ()
    along: int = 0
    also: tuple[Shape, ...] = ()


class InGguf(msgspec.Struct, frozen=True, kw_only=True):
    """One weight of the architecture, `template` with a `{}` for the layer, as one or more `pieces`."""

    template: str
    pieces: tuple[Piece, ...]
    weave: Weave | None
    rowwise: bool
    name: str = "gguf"
    words: str = "GGUF"
    formula: str = ""
    packing: str = ""

    def parts(self, name: str) -> tuple[str, ...]:
        """The names of the pieces, in the layer of that name."""
        layer = [part for mark, part in zip(self.template.split("."), name.split("."), strict=True) if mark == "{}"]
        return tuple(piece.template.format(*layer) for piece in self.pieces)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The pieces, each with its share of the weight."""
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

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The weight in the architecture's own layout."""
        found: list[torch.Tensor] = []
        for part, piece in zip(self.parts(name), self.pieces, strict=True):
            tensor = raw(part)
            several = self.weave is not None and len(piece.roles) > 1
            apart = tensor.split(piece.rows, dim=piece.along) if several else (tensor,)  # type: ignore[no-untyped-call]
            for matrix, undo in zip(apart, piece.undo, strict=False):
                upright = matrix
                for step in undo:
                    upright = step(upright)
                found.append(upright)
        return found[0] if self.weave is None else self.weave(found)


def _words(piece: Piece) -> Iterator[str]:
    if len(piece.roles) > 1:
        yield "rows are " + ", ".join(f"{rows:,} of {role}" for rows, role in zip(piece.rows, piece.roles, strict=True))
    said = dict.fromkeys(step.words for undo in piece.undo for step in undo if step.words)
    for words in said:
        of = [str(role) for role, undo in zip(piece.roles, piece.undo, strict=True) if words in {s.words for s in undo}]
        yield f"{' and '.join(of)}: {words}" if len(piece.roles) > 1 else words
