"""MiMo's multi-token prediction layer (arXiv 2505.07608, section 2.3): embedding and head are the model's own."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.norm import RMSNorm
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear


class SharedPrediction(Component, frozen=True, kw_only=True):
    """A block over `input_proj([hidden_layernorm(hidden); token_layernorm(embedding)])`, and a norm."""

    width: Size
    eps: float
    block: Block
    section: Section | None = Section.MTP
    auxiliary: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One matrix that brings the two halves together."""
        return (Linear("input_proj", Role.MTP_PROJ),)

    def sizes(self) -> Sizes:
        """(width, 2·width)."""
        return {Role.MTP_PROJ: (self.width, self.width * 2)}

    def children(self) -> Iterable[Component]:
        """The names are those of Xiaomi's published checkpoints."""
        return (
            RMSNorm(name="token_layernorm", role=Role.EMBEDDING_NORM, size=self.width, eps=self.eps),
            RMSNorm(name="hidden_layernorm", role=Role.NORM, size=self.width, eps=self.eps),
            self.block,
            RMSNorm(name="final_layernorm", role=Role.FINAL_NORM, size=self.width, eps=self.eps),
        )
