"""Attention whose relative positions count as much as each frame's gates say (WavLM, arXiv 2110.13900)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from weightscope.components.attention.attend import attend
from weightscope.components.attention.relative import Relative, RelativeBias
from weightscope.components.attention.sees import EVERYTHING, Segments
from weightscope.components.attention.softmax import Attention
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# The gates' matrix gives two sums of four numbers each.
GATES, ADDENDS = 2, 4


class GatedRelativeAttention(Attention, frozen=True, kw_only=True):
    """The bias of a distance times a·(b·scale - 1) + 2, where a and b are sigmoids of what enters a head."""

    positions: Relative

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield from super().stored
        yield Linear("gru_rel_pos_linear", Role.RELATIVE_GATE, bias=True)
        yield Plain("gru_rel_pos_const", Role.RELATIVE_GATE_SCALE, leaf="")

    def sizes(self) -> Sizes:
        one = Size(1)
        return {
            **super().sizes(),
            Role.RELATIVE_GATE: (Size(GATES * ADDENDS), self.heads.size),
            Role.RELATIVE_GATE_SCALE: (one, self.heads.count, one, one),
        }

    @property
    def biased(self) -> str:
        return " + gate·relative_position"

    def terms(self) -> Mapping[Role, str]:
        return {
            **super().terms(),
            Role.RELATIVE_POSITION: "gate · relative_position[bucket of the distance, head] is added to each score",
            Role.RELATIVE_GATE: "a, b = sigmoids of relative_gate·x + bias, four rows summed for each",
            Role.RELATIVE_GATE_SCALE: "gate = a·(b·relative_gate_scale − 1) + 2",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        assert isinstance(self.sees, Segments)
        weights, lengths = at.weights(self), list(at.run.segments[self.sees.of])
        q = self._projected(x, weights, Role.Q_PROJ, at).transpose(0, 1)
        k, v = self._keys_and_values(x, weights, at)
        table, gates = self.positions.made(weights, at), self._gates(x, weights)
        seen = torch.ones(len(x), dtype=torch.bool, device=x.device) if at.run.unseen is None else ~at.run.unseen
        split = (*(torch.split(part, lengths, dim=1) for part in (q, k, v, gates)), torch.split(seen, lengths))
        parts = zip(*split, strict=True)
        mixed = (
            attend(
                *part,
                scale=self.scores.factor(self.heads.size),
                sees=EVERYTHING,
                bias=GatedBias(table, gate),
                allowed=None if at.run.unseen is None else allowed.expand(len(allowed), -1),
            )
            for *part, gate, allowed in parts
        )
        return linear(torch.cat(list(mixed), dim=1).transpose(0, 1).flatten(1), weights, Role.O_PROJ)

    def _gates(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """How much relative positions count [H, T], of what enters the layer [T, D]."""
        terms = linear(self.heads.split(x), weights, Role.RELATIVE_GATE)
        a, b = terms.reshape(*terms.shape[:-1], GATES, ADDENDS).sum(-1).sigmoid().unbind(-1)
        gates: torch.Tensor = a * (b * weights[Role.RELATIVE_GATE_SCALE].view(-1, 1) - 1) + 2
        return gates


class GatedBias(NamedTuple):
    """The biases by one table, each query's times its gate [H, T]."""

    relative: RelativeBias
    gates: torch.Tensor

    def bias(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """What is added to scores, [H, queries, keys], by positions [queries, 1] and [keys]."""
        return self.gates[:, queries[:, 0], None] * self.relative.bias(queries, keys)
