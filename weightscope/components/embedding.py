"""The two ends of a language model: rows gathered by token or position, and the head that scores the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain


class Embedding(Component, frozen=True, kw_only=True):
    """A table of `rows` vectors; the gathered row is multiplied by `scale` (Gemma: sqrt(width))."""

    name: str
    role: Role = Role.TOKEN_EMBEDDING
    rows: Size
    width: Size
    scale: float = 1.0

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One table."""
        return (Plain("", self.role),)

    def sizes(self) -> Sizes:
        """(rows, width)."""
        return {self.role: (self.rows, self.width)}


class Head(Component, frozen=True, kw_only=True):
    """Logits over the vocabulary; `tied` heads use the token embedding and need not be stored.

    `optional` is for checkpoints saved from a base model, which never had a head. `softcap` bounds the logits
    (Gemma 2): cap · tanh(logits / cap).
    """

    name: str
    vocabulary: Size
    width: Size
    tied: bool
    bias: bool = False
    optional: bool = False
    softcap: float | None = None

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One matrix; a tied one may be absent."""
        return (Plain("", Role.LM_HEAD, bias=self.bias, optional=self.tied or self.optional),)

    def sizes(self) -> Sizes:
        """(vocabulary, width)."""
        return {Role.LM_HEAD: (self.vocabulary, self.width)}
