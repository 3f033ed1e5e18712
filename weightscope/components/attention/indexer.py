"""The indexer of DeepSeek sparse attention (DeepSeek-V3.2): a small scorer that chooses which positions are seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.rope import Rope
from weightscope.components.base import Component
from weightscope.components.live import Live, Mask
from weightscope.components.norm import LayerNorm
from weightscope.components.running import At, linear
from weightscope.components.state import PerToken, State
from weightscope.components.work import Work
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths

# The config's epsilon is not used here.
KEY_EPS = 1e-6
# Scores held at a time: 64 MB of float32.
SCORES = 1 << 24


class Indexer(Component, frozen=True, kw_only=True):
    """Σ weight · relu(q·k / √head_dim) over `heads`; the `keep` positions that score highest are seen.

    Queries come from attention's query latent of `q_rank`, the one key and the heads' weights from x. The first
    elements of queries and key are turned by position.
    """

    name: str
    width: Size
    q_rank: Size
    heads: Size
    head_dim: Size
    keep: Size
    rope: Rope

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Linear("wq_b", Role.INDEX_Q_PROJ)
        yield Linear("wk", Role.INDEX_K_PROJ)
        yield Linear("weights_proj", Role.INDEX_WEIGHT)

    def sizes(self) -> Sizes:
        """One key for all heads."""
        return {
            Role.INDEX_Q_PROJ: (self.heads * self.head_dim, self.q_rank),
            Role.INDEX_K_PROJ: (self.head_dim, self.width),
            Role.INDEX_WEIGHT: (self.heads, self.width),
        }

    @property
    def key_norm(self) -> LayerNorm:
        """What acts on the key."""
        return LayerNorm(name="k_norm", role=Role.INDEX_K_NORM, size=self.head_dim, eps=KEY_EPS)

    def children(self) -> Iterable[Component]:
        return (self.key_norm,)

    @property
    def awaited(self) -> bool:
        """A sequence that is no longer than `keep` does not need it."""
        return False

    def mixes(self) -> tuple[Work, ...]:
        """Each head's score of the one key, and its share in the sum of all heads'."""
        return (Work(each=int(self.heads * (self.head_dim + 1))),)

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """Scores of each head in float32, and the same scaled; keys are copied for each token of several sequences."""
        scores, copied = widths.float32 * int(self.heads), widths.float32 * int(self.head_dim)
        mask = Mask(sees=self.name, elements=1)
        return (
            Live(elements=0, pairs=2 * scores, mask=mask),
            Live(elements=0, pairs=copied + scores, mask=mask, several=True),
        )

    def keeps(self) -> tuple[State, ...]:
        """The one key of each token."""
        return (PerToken(kind="index_keys", entry=int(self.head_dim)),)

    def equation(self, x: str = "x") -> str:
        return f"Σ index_weight·{x} · relu(q·k/√{int(self.head_dim)}) over {int(self.heads)} heads"

    def terms(self) -> Mapping[Role, str]:
        turned = f"the first {self.rope.dim} elements rotated by position"
        return {
            Role.INDEX_Q_PROJ: f"q = index_q_proj·c   in {int(self.heads)} heads of {int(self.head_dim)}, {turned}",
            Role.INDEX_K_PROJ: f"k = norm(index_k_proj·x)   {turned}",
            Role.INDEX_WEIGHT: f"{self.equation()}: only the top {int(self.keep)} positions are attended to",
        }

    def choose(self, x: torch.Tensor, latent: torch.Tensor, at: At) -> torch.Tensor | None:
        """Which positions each token sees, [T, T], of x [T, width] and queries' latent [T, q_rank]; None for all."""
        import torch

        length, keep = len(x), int(self.keep)
        if length <= keep:
            return None
        weights = at.weights(self)
        rotation = at.rotation(self.rope)
        q = linear(latent, weights, Role.INDEX_Q_PROJ).reshape(length, int(self.heads), -1).transpose(0, 1)
        k = at.call(self.key_norm, linear(x, weights, Role.INDEX_K_PROJ))
        q, k = self.rope.turn(q, rotation).float(), self.rope.turn(k[None], rotation)[0].float()
        shares = linear(x, weights, Role.INDEX_WEIGHT).float() * self.heads**-0.5
        allowed = torch.zeros(length, length, dtype=torch.bool, device=x.device)
        step = max(1, SCORES // (int(self.heads) * length))
        for start in range(0, length, step):
            rows = slice(start, min(start + step, length))
            scores = torch.relu(q[:, rows] @ k.T * self.head_dim**-0.5)
            total = torch.einsum("ht,hts->ts", shares[rows].T, scores)
            later = torch.arange(length, device=x.device) > torch.arange(length, device=x.device)[rows, None]
            best = total.masked_fill(later, -math.inf).topk(keep, dim=-1).indices
            allowed[rows].scatter_(1, best, value=True)
        return allowed
