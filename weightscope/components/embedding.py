"""The two ends of a language model: rows gathered by token or position, and the head that scores the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size, size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Embedding(Component, frozen=True, kw_only=True):
    """A table of `rows` vectors; the gathered row is multiplied by `scale` (Gemma: sqrt(width)).

    The first `offset` rows stand for nothing, and numbers count from there (OPT's positions). An `optional` table is
    left out where it would be a copy. `leaf` is the parameter's own name.
    """

    name: str
    role: Role = Role.TOKEN_EMBEDDING
    rows: Size
    width: Size
    scale: float = 1.0
    offset: int = 0
    optional: bool = False
    leaf: str = "weight"

    @property
    def table(self) -> Plain:
        """The one tensor."""
        return Plain("", self.role, optional=self.optional, leaf=self.leaf)

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (self.table,)

    def sizes(self) -> Sizes:
        return {self.role: (self.rows, self.width)}

    def equation(self, x: str = "") -> str:
        index = {Role.POSITION_EMBEDDING: "position", Role.TILE_EMBEDDING: "arrangement"}.get(self.role, "token")
        index += f" + {self.offset}" if self.offset else ""
        return f"{self.role}[{x or index}]" + (f" · {self.scale:.5g}" if self.scale != 1.0 else "")

    def terms(self) -> Mapping[Role, str]:
        return {self.role: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Rows [T, width] for ids [T]; nothing else of the table is read."""
        rows = at.gather(self, self.table, x + self.offset if self.offset else x)
        return rows * self.scale if self.scale != 1.0 else rows


class Head(Component, frozen=True, kw_only=True):
    """Logits over the vocabulary; `tied` heads use the token embedding and need not be stored.

    `optional` is for checkpoints saved from a base model, which never had a head. `softcap` bounds the logits
    (Gemma 2): cap · tanh(logits / cap). `scale` multiplies them (Cohere). `normalized` heads use their rows at length
    1 (Baichuan 2).
    """

    name: str
    vocabulary: Size
    width: Size
    tied: bool
    bias: bool = False
    optional: bool = False
    softcap: float | None = None
    scale: float = 1.0
    normalized: bool = False

    @property
    def table(self) -> Plain:
        """The matrix, and its bias; a tied one may be absent."""
        absent = self.tied or self.optional
        return Plain("", Role.LM_HEAD, bias=self.bias, optional=absent, bias_kept=not self.optional)

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (self.table,)

    def sizes(self) -> Sizes:
        return {Role.LM_HEAD: (self.vocabulary, self.width)}

    def equation(self, x: str = "x") -> str:
        table = str(Role.TOKEN_EMBEDDING if self.tied else Role.LM_HEAD)
        scores = f"{f'({table} / |its rows|)' if self.normalized else table}·{x}"
        scores += f" · {self.scale:.4g}" if self.scale != 1.0 else ""
        return f"cap({scores}, {self.softcap:g})" if self.softcap else scores

    def terms(self) -> Mapping[Role, str]:
        return {Role.LM_HEAD: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Logits [T, vocabulary] for x [T, width], by the head's own matrix."""
        return self.score(x, at, self, at)

    def score(self, x: torch.Tensor, at: At, owner: Embedding | Head, table: At) -> torch.Tensor:
        """Logits by the matrix that `owner` stores at the place `table`: the head itself or a tied embedding."""
        bias = at.run.reader.tensor(f"{at.prefix}.bias").to(at.run.dtype) if self.bias else None
        logits = table.project(owner, owner.table, x, bias, normalized=self.normalized)
        if self.scale != 1.0:
            logits = logits * self.scale
        return logits.div_(self.softcap).tanh_().mul_(self.softcap) if self.softcap else logits


class Classifier(Component, frozen=True, kw_only=True):
    """Scores of `labels` classes, in place of a head over the vocabulary."""

    name: str
    labels: int
    width: Size
    bias: bool

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", Role.CLASSIFIER, bias=self.bias),)

    def sizes(self) -> Sizes:
        return {Role.CLASSIFIER: (size(self.labels), self.width)}

    def equation(self, x: str = "x") -> str:
        return f"classifier·{x}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CLASSIFIER: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Scores [T, labels] for x [T, width]."""
        return linear(x, at.weights(self), Role.CLASSIFIER)
