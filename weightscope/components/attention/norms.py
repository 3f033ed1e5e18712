"""Norms of queries, keys and values: of each head, of all heads together, or after the rotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.norm import Norm, NumberedNorms
from weightscope.components.running import At
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch


class QueryKeyNorms(msgspec.Struct, frozen=True, kw_only=True):
    """The norms themselves; the classes below say where they act.

    `at_projection` acts on [T, H·d], `at_heads` on [T, H, d], `at_rotated` on [H, T, d]; each leaves alone what is not
    its own.
    """

    query: Norm | NumberedNorms | None = None
    key: Norm | NumberedNorms | None = None
    value: Norm | None = None

    def of(self, role: Role) -> Norm | NumberedNorms | None:
        """The norm of what a projection makes."""
        return {Role.Q_PROJ: self.query, Role.K_PROJ: self.key, Role.V_PROJ: self.value}[role]

    def parts(self) -> Iterator[Norm | NumberedNorms]:
        """Those that are there."""
        yield from (norm for norm in (self.query, self.key, self.value) if norm is not None)

    def at_projection(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """What the projection made, before it is split into heads."""
        return x

    def at_heads(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """Each head's, before the rotation."""
        return x

    def at_rotated(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """Each head's, after the rotation."""
        return x

    def words(self, role: Role, projected: str, rotated: str) -> str:
        """The term of one role: what the projection made, normed, put where `rotated` has its braces."""
        return rotated.format(self._word(role, projected))

    def _normed(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        norm = self.of(role)
        return x if norm is None else at.call(norm, x)

    def _word(self, role: Role, x: str) -> str:
        return x if self.of(role) is None else f"norm({x})"


class HeadNorms(QueryKeyNorms, frozen=True, kw_only=True):
    """On each head's vector (Qwen 3)."""

    def at_heads(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """[T, H, d]."""
        return self._normed(x, role, at)


class WholeNorms(QueryKeyNorms, frozen=True, kw_only=True):
    """On the vectors of all heads together (OLMo 2)."""

    def at_projection(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """[T, H·d]."""
        return self._normed(x, role, at)


class RotatedNorms(QueryKeyNorms, frozen=True, kw_only=True):
    """On each head's vector after the rotation (Hunyuan, Llama 4)."""

    def at_rotated(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """[H, T, d]."""
        return self._normed(x, role, at)

    def words(self, role: Role, projected: str, rotated: str) -> str:
        """Rotated, then normed."""
        return self._word(role, rotated.format(projected))


NO_NORMS = QueryKeyNorms()
