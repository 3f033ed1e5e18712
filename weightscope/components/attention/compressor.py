"""DeepSeek-V4's compressed keys: windows of tokens that become one key each, and the indexer that chooses among them.

Shapes: T tokens, W windows of `rate` tokens, D width, d elements of a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.rope import Rope
from weightscope.components.base import Component
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At, linear
from weightscope.components.state import OpenWindow, PerWindow, State
from weightscope.components.work import Work
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


def ending_turned(x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor], *, back: bool = False) -> torch.Tensor:
    """X [..., T, d], neighbours among its last elements rotated by cosines and sines [T, r], or rotated back."""
    import torch

    cos, sin = rotation
    still = x.shape[-1] - 2 * cos.shape[-1]
    a, b = x[..., still::2], x[..., still + 1 :: 2]
    sin = -sin if back else sin
    moved = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
    return torch.cat((x[..., :still], moved), dim=-1)


class Compressor(Component, frozen=True, kw_only=True):
    """norm(Σ softmax(gate + bias) ⊙ projection) over each window of `rate` tokens, rotated as its first token.

    With `overlap` a window has twice as many terms: of the window before it those of the first half of projection and
    gate, of its own those of the second half (section 2.3.1 of DeepSeek's report).
    """

    name: str
    width: Size
    head_dim: Size
    rate: Size
    overlap: bool
    rope: Rope
    eps: float
    names: tuple[str, str, str, str] = ("wkv", "wgate", "ape", "norm")
    word: ClassVar[str] = "compressor"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear(self.names[0], Role.COMPRESSOR_PROJ),
            Linear(self.names[1], Role.COMPRESSOR_GATE),
            Plain("", Role.COMPRESSOR_BIAS, leaf=self.names[2]),
        )

    def sizes(self) -> Sizes:
        made = self.head_dim * 2 if self.overlap else self.head_dim
        return {
            Role.COMPRESSOR_PROJ: (made, self.width),
            Role.COMPRESSOR_GATE: (made, self.width),
            Role.COMPRESSOR_BIAS: (self.rate, made),
        }

    @property
    def norm(self) -> RMSNorm:
        """Acts on each compressed key."""
        return RMSNorm(name=self.names[3], role=Role.COMPRESSOR_NORM, size=self.head_dim, eps=self.eps)

    def children(self) -> Iterable[Component]:
        return (self.norm,)

    def mixes(self) -> tuple[Work, ...]:
        """A token's terms in the sums of the windows that it belongs to."""
        return (Work(fixed=int(self.head_dim) * (2 if self.overlap else 1)),)

    def keeps(self) -> tuple[State, ...]:
        """A key for each whole window; projection and gate of the tokens that no window has closed, or that overlap."""
        rate, size = int(self.rate), int(self.head_dim)
        made = size * 2 if self.overlap else size
        before = rate * size * 2 if self.overlap else 0
        return (
            PerWindow(kind="compressed_keys", entry=size, window=rate),
            OpenWindow(kind="open_window", entry=made * 2, window=rate, before=before),
        )

    def terms(self) -> Mapping[Role, str]:
        window = f"of each window of {int(self.rate)} tokens" + (" and the one before it" if self.overlap else "")
        return {
            Role.COMPRESSOR_PROJ: f"key = norm(Σ share ⊙ compressor_proj·x)   {window}",
            Role.COMPRESSOR_GATE: "share = softmax(compressor_gate·x + compressor_bias) over the window",
            Role.COMPRESSOR_BIAS: "one row for each place in the window",
        }

    def compress(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Keys [W, d] of x [T, D]; tokens after the last whole window are left out."""
        import torch

        rate, size = int(self.rate), int(self.head_dim)
        weights, count = at.weights(self), len(x) // rate
        if not count:
            return x.new_zeros(0, size)
        x = x[: count * rate]
        keys = linear(x, weights, Role.COMPRESSOR_PROJ).unflatten(0, (count, rate))  # type: ignore[no-untyped-call]
        gates = linear(x, weights, Role.COMPRESSOR_GATE).unflatten(0, (count, rate))  # type: ignore[no-untyped-call]
        gates = gates + weights[Role.COMPRESSOR_BIAS]
        if self.overlap:
            keys = torch.cat((_before(keys[..., :size], 0.0), keys[..., size:]), dim=1)
            gates = torch.cat((_before(gates[..., :size], float("-inf")), gates[..., size:]), dim=1)
        shares = gates.softmax(dim=1, dtype=torch.promote_types(x.dtype, torch.float32)).to(x.dtype)
        made = at.call(self.norm, (keys * shares).sum(dim=1))
        positions = torch.arange(count, device=x.device) * rate
        return ending_turned(made, self.rope.rotation(positions, x.dtype))


def _before(windows: torch.Tensor, first: float) -> torch.Tensor:
    """Each window's predecessor; the first one's is filled."""
    import torch

    return torch.cat((torch.full_like(windows[:1], first), windows[:-1]))


class CompressedIndexer(Component, frozen=True, kw_only=True):
    """Σ weight · relu(q·k / √head_dim) over `heads`; the `keep` compressed keys that score highest are seen.

    Keys come from a `compressor` of its own, queries from attention's latent, the heads' weights from x.
    """

    name: str
    width: Size
    q_rank: Size
    heads: Size
    keep: Size
    compressor: Compressor
    names: tuple[str, str] = ("wq_b", "weights_proj")

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Linear(self.names[0], Role.INDEX_Q_PROJ), Linear(self.names[1], Role.INDEX_WEIGHT)

    def sizes(self) -> Sizes:
        return {
            Role.INDEX_Q_PROJ: (self.heads * self.compressor.head_dim, self.q_rank),
            Role.INDEX_WEIGHT: (self.heads, self.width),
        }

    def mixes(self) -> tuple[Work, ...]:
        """Each head's score of a compressed key."""
        return (Work(each=int(self.heads * self.compressor.head_dim), rate=int(self.compressor.rate)),)

    def equation(self, x: str = "x") -> str:
        return f"Σ index_weight·{x} · relu(q·k/√{int(self.compressor.head_dim)}) over {int(self.heads)} heads"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.heads)} heads of {int(self.compressor.head_dim)}"
        return {
            Role.INDEX_Q_PROJ: f"q = rope(index_q_proj·c)   {heads}",
            Role.INDEX_WEIGHT: f"{self.equation()}: only the top {int(self.keep)} compressed keys are attended to",
        }

    def choose(self, x: torch.Tensor, latent: torch.Tensor, ready: torch.Tensor, at: At) -> torch.Tensor:
        """Which keys each token sees, [T, W], of x [T, D], queries' latent [T, q_rank] and what is `ready` [T, W]."""
        import torch

        weights, heads, size = at.weights(self), int(self.heads), int(self.compressor.head_dim)
        keys = self.compressor.compress(x, at.below(self.compressor)).float()
        q = linear(latent, weights, Role.INDEX_Q_PROJ).reshape(len(x), heads, size).transpose(0, 1)
        q = ending_turned(q, at.rotation(self.compressor.rope)).float()
        shares = linear(x, weights, Role.INDEX_WEIGHT).float() * heads**-0.5
        scores = torch.relu(q @ keys.T) * size**-0.5
        total = torch.einsum("ht,htw->tw", shares.T, scores).masked_fill(~ready, float("-inf"))
        best = total.topk(min(int(self.keep), len(keys)), dim=-1).indices
        return torch.zeros_like(ready).scatter_(1, best, value=True) & ready
