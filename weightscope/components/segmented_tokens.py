"""What enters XLNet (arXiv 1906.08237): tokens alone; types of tokens are compared in each layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weightscope.components.encoder import TYPES, TokenEmbeddings
from weightscope.components.runnable import Inputs
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain


class SegmentedTokens(TokenEmbeddings, frozen=True, kw_only=True):
    """Rows of the words. A vector for tokens that are predicted is stored, and only pretraining uses it."""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("mask_emb", Role.MASK_EMBEDDING, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.MASK_EMBEDDING: (Size(1), Size(1), self.words.width)}

    def terms(self) -> Mapping[Role, str]:
        return {Role.MASK_EMBEDDING: "stands for tokens that are predicted, in pretraining alone"}

    @property
    def takes(self) -> tuple[str, ...]:
        return (TYPES,)

    def checked(self, inputs: Inputs) -> None:
        """Types may be any numbers."""
