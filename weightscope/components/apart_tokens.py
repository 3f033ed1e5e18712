"""Tokens with a table of their own, and what a tower puts out beside them: both through one matrix (Gemma 3n)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At, linear
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class ApartTokens(Component, frozen=True, kw_only=True):
    """rms_norm(matrix·norm(x)): x is a tower's vector, or of one of the `rows` tokens from `first` on its row."""

    name: str
    first: int
    rows: Size
    inputs: Size
    outputs: Size
    eps: float
    section: Section | None = Section.PROJECTOR

    @property
    def table(self) -> Plain:
        """The rows of its tokens."""
        return Plain("embedding", Role.TOKEN_EMBEDDING)

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.table, Linear("embedding_projection", Role.PROJECTOR)

    def sizes(self) -> Sizes:
        return {Role.TOKEN_EMBEDDING: (self.rows, self.inputs), Role.PROJECTOR: (self.outputs, self.inputs)}

    @property
    def token_norm(self) -> RMSNorm:
        """Of the rows of tokens."""
        return RMSNorm(name="hard_embedding_norm", role=Role.EMBEDDING_NORM, size=self.inputs, eps=self.eps)

    @property
    def tower_norm(self) -> RMSNorm:
        """Of what the tower puts out."""
        return RMSNorm(name="soft_embedding_norm", role=Role.PROJECTOR_NORM, size=self.inputs, eps=self.eps)

    @property
    def out_norm(self) -> RMSNorm:
        """Only scales."""
        return RMSNorm(name="", role=Role.NORM, size=self.outputs, eps=self.eps, weighted=False)

    def children(self) -> Iterable[Component]:
        return self.token_norm, self.tower_norm

    def equation(self, x: str = "x") -> str:
        return f"rms_norm(projector·{self.tower_norm.word}({x}))"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.TOKEN_EMBEDDING: f"token_embedding[token - {self.first:,}], in the place of the language model's",
            Role.PROJECTOR: self.equation(),
        }

    def owns(self, tokens: torch.Tensor) -> torch.Tensor:
        """True where a token [T] is one of its own."""
        return (tokens >= self.first) & (tokens < self.first + int(self.rows))

    def looked_up(self, tokens: torch.Tensor, at: At) -> torch.Tensor:
        """Tokens [N] of its own to [N, outputs]."""
        rows = at.gather(self, self.table, tokens - self.first)
        return self._projected(at.call(self.token_norm, rows), at)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """What a tower puts out, [N, inputs], to [N, outputs]."""
        return self._projected(at.call(self.tower_norm, x), at)

    def _projected(self, x: torch.Tensor, at: At) -> torch.Tensor:
        matrix = {str(Role.PROJECTOR): at.weights(self)[Role.PROJECTOR]}
        return at.call(self.out_norm, linear(x, matrix, Role.PROJECTOR))
