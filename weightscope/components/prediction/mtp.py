"""DeepSeek-V3's multi-token prediction layer (arXiv 2412.19437, section 2.2): predicts the token after the next."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding, Head
from weightscope.components.norm import RMSNorm
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear


class MultiTokenPrediction(Component, frozen=True, kw_only=True):
    """A block over `eh_proj([enorm(embedding); hnorm(hidden)])` with copies of the embedding and the head.

    Without `copies` these may be left out: they are the main model's (GLM-5).
    """

    width: Size
    vocabulary: Size
    eps: float
    block: Block
    copies: bool = True
    section: Section | None = Section.MTP
    auxiliary: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        """DeepSeek publishes it in BF16 beside FP8 weights."""
        return (Linear("eh_proj", Role.MTP_PROJ),)

    def sizes(self) -> Sizes:
        """(width, 2·width)."""
        return {Role.MTP_PROJ: (self.width, self.width * 2)}

    def children(self) -> Iterable[Component]:
        """The names are those of DeepSeek's published checkpoints."""
        return (
            Embedding(name="embed_tokens", rows=self.vocabulary, width=self.width, optional=not self.copies),
            RMSNorm(name="enorm", role=Role.EMBEDDING_NORM, size=self.width, eps=self.eps),
            RMSNorm(name="hnorm", role=Role.NORM, size=self.width, eps=self.eps),
            self.block,
            RMSNorm(name="shared_head.norm", role=Role.FINAL_NORM, size=self.width, eps=self.eps),
            Head(
                name="shared_head.head",
                vocabulary=self.vocabulary,
                width=self.width,
                tied=False,
                optional=not self.copies,
            ),
        )
