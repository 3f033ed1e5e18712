"""Weights as a pass asks for them, changed by adapters as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from weightscope.analyses.adapting.overlay import Overlay, Placed
from weightscope.analyses.forward.stream import Stream
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import gather_torch, load_torch

if TYPE_CHECKING:
    import torch


class AdaptedReader:
    """The weights of a stream, each with the changes that an overlay has for it. What is added is never kept."""

    def __init__(self, stream: Stream, overlay: Overlay, device: torch.device) -> None:
        self._stream = stream
        self._overlay = overlay
        self._device = device
        # The last weight whose rows cannot be had one by one.
        self._table: tuple[str, torch.Tensor] | None = None

    def has(self, name: str) -> bool:
        """Whether the base holds it."""
        return self._stream.has(name)

    def tensor(self, name: str) -> torch.Tensor:
        """The changed weight in its stored layout."""
        placed = self._overlay.of(name)
        return self._changed(name, placed, None) if placed else self._stream.tensor(name)

    def rows(self, name: str, index: slice | torch.Tensor) -> torch.Tensor:
        """Some rows of the changed weight."""
        placed = self._overlay.of(name)
        if not placed:
            return self._stream.rows(name, index)
        # Rows of a stack are experts, whichever way these lie.
        if all(one.change.rowwise and not (one.weight.turned and len(one.weight.shape) == 2) for one in placed):
            return self._changed(name, placed, index)
        if self._table is None or self._table[0] != name:
            self._table = (name, self.tensor(name))
        return self._table[1][index]

    def ahead(self, names: Iterable[str], rows: slice | None = None) -> None:
        """Have these read, but for those of which nothing is used."""
        self._stream.ahead(self._used(names), rows)

    def next_block(self, names: Iterable[str]) -> None:
        """The same of a block."""
        self._stream.next_block(self._used(names))

    def _used(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if not self._overlay.replaces(name)]

    def _changed(self, name: str, placed: Sequence[Placed], rows: slice | torch.Tensor | None) -> torch.Tensor:
        """The weight in its stored layout, or some rows of it."""
        weight, rest = self._first(name, placed, rows)
        turned = placed[0].weight.turned
        upright = weight.mT if turned else weight
        for one in rest:
            upright = one.change.applied(upright, Stored(one.checkpoint, self._device), rows)
        return upright.mT if turned else upright

    def _first(
        self, name: str, placed: Sequence[Placed], rows: slice | torch.Tensor | None
    ) -> tuple[torch.Tensor, Sequence[Placed]]:
        """The base's own weight, or what stands in its place, and the changes that are left to apply."""
        if not self._overlay.replaces(name):
            return (self._stream.tensor(name) if rows is None else self._stream.rows(name, rows)), placed
        self._stream.taken.append(name)
        raw, tensor = Stored(placed[0].checkpoint, self._device), placed[0].change.tensors[0]
        return (raw.whole(tensor) if rows is None else raw.rows(tensor, rows)), placed[1:]


class Stored:
    """The tensors of an adapter, read when a change asks for them."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self._checkpoint = checkpoint
        self._device = device

    def whole(self, name: str) -> torch.Tensor:
        """All of one."""
        return self._load(name, None)

    def rows(self, name: str, index: slice | torch.Tensor) -> torch.Tensor:
        """Some entries of its first dimension."""
        if isinstance(index, slice):
            return self._load(name, index)
        entry = self._checkpoint.tensors[name]
        return gather_torch(self._checkpoint.files, entry, index.cpu()).to(self._device)

    def _load(self, name: str, rows: slice | None) -> torch.Tensor:
        return load_torch(self._checkpoint.files, self._checkpoint.tensors[name], rows).to(self._device)
