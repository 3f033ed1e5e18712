"""The indexer of MiniMax-M3: a small scorer that chooses which blocks of positions are seen.

Source: `MiniMaxM3VLIndexer` of transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At
from weightscope.components.state import PerToken, State
from weightscope.components.work import Work
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch


class BlockIndexer(Component, frozen=True, kw_only=True):
    """q·k of `heads` small heads, the largest within each block of positions: the `keep` best blocks are seen.

    Each head chooses for a group of attention's heads. The names of its modules begin with `prefix`.
    """

    prefix: str
    width: Size
    heads: Size
    head_dim: Size
    block: Size
    keep: Size
    eps: float

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Linear(f"{self.prefix}q_proj", Role.INDEX_Q_PROJ)
        yield Linear(f"{self.prefix}k_proj", Role.INDEX_K_PROJ)

    def sizes(self) -> Sizes:
        """One key for all heads."""
        return {
            Role.INDEX_Q_PROJ: (self.heads * self.head_dim, self.width),
            Role.INDEX_K_PROJ: (self.head_dim, self.width),
        }

    def children(self) -> Iterable[Component]:
        """What acts on queries and key."""
        for part, role in (("q", Role.INDEX_Q_NORM), ("k", Role.INDEX_K_NORM)):
            yield RMSNorm(name=f"{self.prefix}{part}_norm", role=role, size=self.head_dim, eps=self.eps, offset=1.0)

    @property
    def awaited(self) -> bool:
        """A sequence of no more than so many blocks does not need it."""
        return False

    @property
    def reach(self) -> int:
        """The longest sequence of which every token sees all."""
        return int(self.block) * int(self.keep)

    def mixes(self) -> tuple[Work, ...]:
        """Each head's score of the one key."""
        return (Work(each=int(self.heads * self.head_dim)),)

    def keeps(self) -> tuple[State, ...]:
        """The one key of each token."""
        return (PerToken(kind="index_keys", entry=int(self.head_dim)),)

    def equation(self, x: str = "x") -> str:
        return f"the largest q·k in each {int(self.block)} positions of {x}"

    def terms(self) -> Mapping[Role, str]:
        best = f"the top {int(self.keep)} blocks of {int(self.block)} positions are attended to"
        return {
            Role.INDEX_Q_PROJ: f"q = rope(norm(index_q_proj·x))   in {int(self.heads)} heads of {int(self.head_dim)}",
            Role.INDEX_K_PROJ: f"k = rope(norm(index_k_proj·x)): {best}",
        }


class BlockSparseAttention(Component, frozen=True, kw_only=True):
    """`attention` over the blocks of positions that an `indexer` chooses; a short sequence is seen whole."""

    name: str
    attention: Attention
    indexer: BlockIndexer
    word: ClassVar[str] = "attention"

    def equation(self, x: str = "x") -> str:
        return self.attention.equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D].

        Raises:
            NotImplementedByWeightscope: the sequence is longer than the indexer lets a token see.
        """
        if len(x) > self.indexer.reach:
            raise NotImplementedByWeightscope(
                f"sequences of more than {self.indexer.reach:,} tokens (index_topk_blocks · index_block_size) are not"
                " implemented: an indexer then chooses what is seen",
                where=at.prefix,
            )
        return at.call(self.attention, x)
