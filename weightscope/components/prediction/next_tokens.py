"""Multi-token prediction in a part of its own beside the model, which has no embedding or head of its own."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component, Repeat
from weightscope.components.norm import RMSNorm
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear


class PredictionPart(Component, frozen=True, kw_only=True):
    """`blocks` over `fc([norm(embedding); norm(hidden)])`, and a norm; norms multiply by `offset` + w."""

    name: str
    width: Size
    eps: float
    blocks: Repeat
    offset: float = 0.0
    section: Section | None = Section.MTP
    auxiliary: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One matrix that brings the two halves together."""
        return (Linear("fc", Role.MTP_PROJ),)

    def sizes(self) -> Sizes:
        """(width, 2·width)."""
        return {Role.MTP_PROJ: (self.width, self.width * 2)}

    def children(self) -> Iterable[Component]:
        """The names are those of Qwen's published checkpoints."""
        return (
            self._norm("pre_fc_norm_embedding", Role.EMBEDDING_NORM),
            self._norm("pre_fc_norm_hidden", Role.NORM),
            self.blocks,
            self._norm("norm", Role.FINAL_NORM),
        )

    def _norm(self, name: str, role: Role) -> RMSNorm:
        return RMSNorm(name=name, role=role, size=self.width, eps=self.eps, offset=self.offset)


class PredictionLayer(Component, frozen=True, kw_only=True):
    """One of several layers that together predict a further token (Nemotron 3).

    The first of them takes `eh_proj([norm(embedding); norm(hidden)])`, the last ends in a norm.
    """

    width: Size
    eps: float
    block: Component
    first: bool
    last: bool
    section: Section | None = Section.MTP
    auxiliary: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One matrix that brings the two halves together, in the first layer."""
        return (Linear("eh_proj", Role.MTP_PROJ),) if self.first else ()

    def sizes(self) -> Sizes:
        """(width, 2·width)."""
        return {Role.MTP_PROJ: (self.width, self.width * 2)}

    def children(self) -> Iterable[Component]:
        """The names are those of NVIDIA's published checkpoints."""
        if self.first:
            yield RMSNorm(name="enorm", role=Role.EMBEDDING_NORM, size=self.width, eps=self.eps)
            yield RMSNorm(name="hnorm", role=Role.NORM, size=self.width, eps=self.eps)
        yield self.block
        if self.last:
            yield RMSNorm(name="final_layernorm", role=Role.FINAL_NORM, size=self.width, eps=self.eps)
