"""A residual block each half of which is multiplied by the tanh of one learned number (Flamingo, arXiv 2204.14198)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.decoder import Block
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class GatedBlock(Block, frozen=True, kw_only=True):
    """x + tanh(attn_gate)·attention(norm(x)), then x + tanh(mlp_gate)·feed_forward(norm(x)).

    `gates` are the names of the two numbers.
    """

    gates: tuple[str, str]

    @property
    def stored(self) -> Iterable[StorageItem]:
        for name, role in zip(self.gates, (Role.ATTN_GATE, Role.MLP_GATE), strict=True):
            yield Plain(name, role, leaf="", number=True)

    def sizes(self) -> Sizes:
        return {Role.ATTN_GATE: (Size(1),), Role.MLP_GATE: (Size(1),)}

    def equation(self, x: str = "x") -> str:
        halves = f"tanh(attn_gate)·{self.attention.word}, then tanh(mlp_gate)·{self.feed_forward.word}"
        return f"{x} + {halves}"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.ATTN_GATE: f"x + tanh(attn_gate)·{self.attention.word}",
            Role.MLP_GATE: f"x + tanh(mlp_gate)·{self.feed_forward.word}",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        gates = at.weights(self)
        normed = at.call(self.input_norm, x) if self.input_norm else x
        x = x + gates[Role.ATTN_GATE].tanh() * at.call(self.attention, normed)
        at.stage(self.attention.word, f"x + tanh(attn_gate)·({self.attention.equation('n')}),  n = norm(x)", x)
        x = x + gates[Role.MLP_GATE].tanh() * self.fed(x, at)
        at.stage(self.feed_forward.word, f"x + tanh(mlp_gate)·({self.feed_forward.equation('n')}),  n = norm(x)", x)
        return x

    def fed(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """What the feed-forward half adds, before its gate."""
        return at.call(self.feed_forward, at.call(self.feed_forward_norm, x) if self.feed_forward_norm else x)
