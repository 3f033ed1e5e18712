"""Tensors of the base that an adapter stores whole: modules and biases trained with it, tables kept beside LoRA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.adapters.common.change import OneTensor, Raw

if TYPE_CHECKING:
    import torch


class Replaced(OneTensor, frozen=True, kw_only=True):
    """Another tensor in the place of the base's. One that is not `trained` was the base's own when it was saved."""

    trained: bool

    @property
    def formula(self) -> str:
        """What stands in the place of W."""
        return "the adapter's own tensor in the place of W"

    @property
    def rowwise(self) -> bool:
        """Each row is its own."""
        return True

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`; nothing of the weight is used."""
        del weight
        return raw.whole(self.tensor) if rows is None else raw.rows(self.tensor, rows)
