"""DeepSeek-V4's attention: one key that is its own value, a window of tokens, and compressed keys of all before.

Shapes: T tokens, W compressed keys, D width, H heads, d elements of a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from weightscope.components.attention.attend import SCORES
from weightscope.components.attention.compressor import CompressedIndexer, Compressor, ending_turned
from weightscope.components.attention.rope import Rope
from weightscope.components.attention.sees import Window
from weightscope.components.base import Component
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At, linear
from weightscope.components.state import PerToken, State
from weightscope.components.work import Work
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class CompressedNames(msgspec.Struct, frozen=True, kw_only=True):
    """What a layout calls the tensors of this attention."""

    q_a: str = "wq_a"
    q_b: str = "wq_b"
    key: str = "wkv"
    o_a: str = "wo_a"
    o_b: str = "wo_b"
    sinks: str = "attn_sink"
    q_norm: str = "q_norm"
    key_norm: str = "kv_norm"


class CompressedAttention(Component, frozen=True, kw_only=True):
    """o_b·[o_a·group for each group of heads], heads = unrope([softmax(q·kᵀ/√d | sink)·k]).

    Keys are those of the `window` last tokens and, with a `compressor`, the compressed ones of all whole windows
    before; an `indexer` chooses among them. Queries go through rank `q_rank`, and each head's is normed without a
    weight. The last elements of queries and keys are rotated, and what the heads put out is rotated back. Heads in
    `groups` are each projected to `rank` elements.
    """

    name: str
    names: CompressedNames
    width: Size
    heads: Size
    head_dim: Size
    q_rank: Size
    groups: Size
    rank: Size
    window: Size
    rope: Rope
    eps: float
    compressor: Compressor | None = None
    indexer: CompressedIndexer | None = None
    word: ClassVar[str] = "attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear(self.names.q_a, Role.Q_A_PROJ),
            Linear(self.names.q_b, Role.Q_B_PROJ),
            Linear(self.names.key, Role.K_PROJ),
            Linear(self.names.o_a, Role.O_A_PROJ),
            Linear(self.names.o_b, Role.O_B_PROJ),
            Plain(self.names.sinks, Role.SINK, leaf=""),
        )

    def sizes(self) -> Sizes:
        whole = self.heads * self.head_dim
        return {
            Role.Q_A_PROJ: (self.q_rank, self.width),
            Role.Q_B_PROJ: (whole, self.q_rank),
            Role.K_PROJ: (self.head_dim, self.width),
            Role.O_A_PROJ: (self.groups * self.rank, whole // self.groups),
            Role.O_B_PROJ: (self.width, self.groups * self.rank),
            Role.SINK: (self.heads,),
        }

    @property
    def q_norm(self) -> RMSNorm:
        """Acts on the queries' latent."""
        return RMSNorm(name=self.names.q_norm, role=Role.Q_A_NORM, size=self.q_rank, eps=self.eps)

    @property
    def key_norm(self) -> RMSNorm:
        """Acts on the key."""
        return RMSNorm(name=self.names.key_norm, role=Role.K_NORM, size=self.head_dim, eps=self.eps)

    def children(self) -> Iterable[Component]:
        yield self.q_norm
        yield self.key_norm
        if self.compressor:
            yield self.compressor
        if self.indexer:
            yield self.indexer

    @property
    def glance(self) -> str:
        compressed = f", {self.compressor.rate:,} tokens to a key" if self.compressor else ""
        chosen = f", top {self.indexer.keep:,} of those" if self.indexer else ""
        return f"{self.heads:,} heads of {self.head_dim:,} (1 kv), window {self.window:,}{compressed}{chosen}"

    def notes(self, roles: Iterable[Role]) -> Iterable[str]:
        if {Role.Q_B_PROJ, Role.K_PROJ} & set(roles):
            yield self.rope.words.replace("dimensions", "last dimensions")

    def mixes(self) -> tuple[Work, ...]:
        """Each head's score of a key and its share of the same: of tokens in the window, and of compressed keys."""
        each = int(self.heads * self.head_dim * 2)
        near = Work(each=each, most=int(self.window))
        if self.compressor is None:
            return (near,)
        most = int(self.indexer.keep) if self.indexer else None
        return near, Work(each=each, rate=int(self.compressor.rate), most=most)

    def keeps(self) -> tuple[State, ...]:
        """The one vector of each token in the window that is key and value of all heads."""
        return (PerToken(kind="keys_and_values", entry=int(self.head_dim), last=Window(int(self.window)).kept),)

    def equation(self, x: str = "x") -> str:
        keys = "[k | compressed]" if self.compressor else "k"
        return f"o_b_proj·(o_a_proj of each group·unrope([softmax(q·{keys}ᵀ/√{int(self.head_dim)} | sink)]·{keys}))"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.heads)} heads of {int(self.head_dim)}"
        return {
            Role.Q_A_PROJ: f"c = norm(q_a_proj·x)   the latent of the queries, of size {int(self.q_rank)}",
            Role.Q_B_PROJ: f"q = rope(q_b_proj·c / rms)   {heads}",
            Role.K_PROJ: f"k = rope(norm(k_proj·x))   one key of {int(self.head_dim)} for all heads, and their value",
            Role.O_A_PROJ: f"o_a_proj·[heads of a group], {int(self.groups)} groups, each to {int(self.rank)}",
            Role.O_B_PROJ: "o_b_proj·[groups side by side]",
            Role.SINK: "an extra score for each head in the softmax; its share of the output is dropped",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        weights, rotation = at.weights(self), at.rotation(self.rope)
        latent = at.call(self.q_norm, linear(x, weights, Role.Q_A_PROJ))
        q = linear(latent, weights, Role.Q_B_PROJ).reshape(len(x), int(self.heads), -1).transpose(0, 1)
        q = q * torch.rsqrt(q.float().square().mean(-1, keepdim=True) + self.eps).to(q.dtype)
        q = ending_turned(q, rotation)
        keys = ending_turned(at.call(self.key_norm, linear(x, weights, Role.K_PROJ)), rotation)
        compressed, seen = self._compressed(x, latent, at)
        mixed = self._mixed(q, keys, compressed, seen, weights[Role.SINK])
        mixed = ending_turned(mixed, rotation, back=True).transpose(0, 1)
        grouped = mixed.reshape(len(x), int(self.groups), -1)
        by_group = weights[Role.O_A_PROJ].unflatten(0, (int(self.groups), -1))  # type: ignore[no-untyped-call]
        return linear(torch.einsum("tgi,gri->tgr", grouped, by_group).flatten(1), weights, Role.O_B_PROJ)

    def _compressed(self, x: torch.Tensor, latent: torch.Tensor, at: At) -> tuple[torch.Tensor, torch.Tensor]:
        """Compressed keys [W, d], and which of them each token sees [T, W]."""
        import torch

        if self.compressor is None:
            return x.new_zeros(0, int(self.head_dim)), torch.zeros(len(x), 0, dtype=torch.bool, device=x.device)
        keys = self.compressor.compress(x, at.below(self.compressor))
        whole = (torch.arange(len(x), device=x.device) + 1) // int(self.compressor.rate)
        ready = torch.arange(len(keys), device=x.device) < whole[:, None]
        if self.indexer and len(keys):
            return keys, self.indexer.choose(x, latent, ready, at.below(self.indexer))
        return keys, ready

    def _mixed(
        self, q: torch.Tensor, keys: torch.Tensor, compressed: torch.Tensor, seen: torch.Tensor, sinks: torch.Tensor
    ) -> torch.Tensor:
        """Attention of q [H, T, d] over keys [T, d] in the window and compressed ones [W, d] that are seen."""
        import torch

        heads, length = q.shape[:2]
        window, out = Window(int(self.window)), torch.empty_like(q)
        step = max(1, SCORES // max(heads * (length + len(compressed)), 1))
        positions = torch.arange(length, device=q.device)
        for start in range(0, length, step):
            stop = min(start + step, length)
            first, last = window.keys(start, stop, length)
            both = torch.cat((keys[first:last], compressed))
            ours, theirs = positions[start:stop, None], positions[first:last]
            far = (theirs > ours) | (theirs <= ours - window.size)
            hidden = torch.cat((far, ~seen[start:stop]), dim=1)
            scores = (q[:, start:stop] @ both.T * self.head_dim**-0.5).masked_fill_(hidden, float("-inf"))
            scores = torch.cat((scores, sinks[:, None, None].expand(-1, stop - start, 1)), dim=-1)
            shares = scores.softmax(dim=-1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype)
            out[:, start:stop] = shares[..., :-1] @ both
        return out
