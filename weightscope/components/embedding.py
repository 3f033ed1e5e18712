"""The two ends of a language model: rows gathered by token or position, and the head that scores the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


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

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Rows [T, width] for ids [T]; only those rows are converted."""
        rows = at.weights(self, cast=False)[self.role][x].to(at.dtype)
        return rows * self.scale if self.scale != 1.0 else rows


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

    def score(self, x: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits [T, vocabulary] for x [T, width]; a tied head is given the embedding's table as `lm_head`."""
        logits = linear(x, weights, Role.LM_HEAD)
        return self.softcap * (logits / self.softcap).tanh() if self.softcap else logits

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Logits by the head's own matrix."""
        return self.score(x, at.weights(self))


class Classifier(Component, frozen=True, kw_only=True):
    """Scores of `labels` classes, in place of a head over the vocabulary."""

    name: str
    labels: int
    width: Size
    bias: bool

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One matrix, and its bias for token classification."""
        return (Plain("", Role.CLASSIFIER, bias=self.bias),)

    def sizes(self) -> Sizes:
        """(labels, width)."""
        return {Role.CLASSIFIER: (Size(self.labels, "id2label"), self.width)}
