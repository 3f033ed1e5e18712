"""Weights as a pass asks for them, with one of the LoRAs added that lie among a model's own weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.adapters.lora import added
from weightscope.components.inner_adapters import Factors, InnerAdapter
from weightscope.components.running import Reader

if TYPE_CHECKING:
    import torch


class InnerReader:
    """A reader's weights, each with what the adapter has beside it."""

    def __init__(self, reader: Reader, adapter: InnerAdapter) -> None:
        self._reader = reader
        self._adapter = adapter

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds it."""
        return self._reader.has(name)

    def tensor(self, name: str) -> torch.Tensor:
        """The whole weight, in float32 at least where something is added to it."""
        weight, factors = self._reader.tensor(name), self._adapter.of(name)
        return self._added(weight, factors, slice(None)) if factors else weight

    def rows(self, name: str, index: slice | torch.Tensor) -> torch.Tensor:
        """Some rows of it."""
        weight, factors = self._reader.rows(name, index), self._adapter.of(name)
        return self._added(weight, factors, index) if factors else weight

    def ahead(self, names: Iterable[str], rows: slice | None = None) -> None:
        """Have these read."""
        self._reader.ahead(names, rows)

    def next_block(self, names: Iterable[str]) -> None:
        """The same of a block."""
        self._reader.next_block(names)

    def _added(self, weight: torch.Tensor, factors: Factors, index: slice | torch.Tensor) -> torch.Tensor:
        """These rows of the weight, and what the factors make of the same rows."""
        outward, inward = map(self._factor, factors)
        return added(weight, outward[index], inward, self._adapter.scale)

    def _factor(self, name: str) -> torch.Tensor:
        entry = self._adapter.entry
        return self._reader.tensor(name) if entry is None else self._reader.rows(name, slice(entry, entry + 1))[0]
