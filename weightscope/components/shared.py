"""Blocks whose weights several layers share (Zamba, arXiv 2405.16712; Zamba2, arXiv 2411.15242)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Conflict
from weightscope.components.mixers import MixerBlock
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch

KEY = "token embeddings"


class Keep(Component, frozen=True, kw_only=True):
    """The token embeddings as they are, kept for the layers that see them again."""

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to the same."""
        at.run.shared[KEY] = x
        return x


class SharedBlock(Component, frozen=True, kw_only=True):
    """feed_forward(norm(attention(input_norm([x | e])))), e being the token embeddings; nothing is added to x here.

    `adapters` are the pairs of thin matrices that are stored for the layers that share the block.
    """

    name: str
    width: Size
    input_norm: Norm
    attention: Component
    feed_forward_norm: Norm
    feed_forward: Component
    adapters: tuple[LowRank, ...] = ()
    word: ClassVar[str] = "shared block"

    def conflicts(self) -> Iterable[Conflict]:
        """The first norm is as wide as the layer's x and the token embeddings side by side."""
        size = self.input_norm.size
        if size != self.width * 2:
            yield Conflict(f"{size.text} {size:,} is not twice {self.width.text} {self.width:,}", size.keys)

    def equation(self, x: str = "x") -> str:
        attended = self.attention.equation(f"{self.input_norm.word}([{x} | embeddings])")
        return f"{self.feed_forward.equation('a')},  a = {self.feed_forward_norm.word}({attended})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        joined = torch.cat([x, at.run.shared[KEY]], dim=-1)
        attended = at.call(self.attention, at.call(self.input_norm, joined))
        return at.call(self.feed_forward, at.call(self.feed_forward_norm, attended))


class Borrowed(Component, frozen=True, kw_only=True):
    """A part of the layer `owner`, used in this layer too; a copy may be stored here, and need not be."""

    part: SharedBlock
    owner: int

    @property
    def copied(self) -> bool:
        """Its weights are another layer's."""
        return True

    @property
    def awaited(self) -> bool:
        """What is read lies in another layer."""
        return False

    def equation(self, x: str = "x") -> str:
        return self.part.equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        layers = at.prefix.rpartition(".")[0]
        return At(run=at.run, prefix=f"{layers}.{self.owner}", label=at.label).call(self.part, x)


class HybridLayer(Component, frozen=True, kw_only=True):
    """x + mixer(norm(x + shared_proj·block(x))): what the block puts out enters the mixer and is not kept."""

    block: SharedBlock | Borrowed
    width: Size
    mixer: MixerBlock

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("linear", Role.SHARED_PROJ),)

    def sizes(self) -> Sizes:
        return {Role.SHARED_PROJ: (self.width, self.width)}

    def equation(self, x: str = "x") -> str:
        return f"{x} + mixer(norm({x} + shared_proj·block({x})))"

    def terms(self) -> Mapping[Role, str]:
        return {Role.SHARED_PROJ: "shared_proj·block(x) is added to what enters the layer's mixer"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        made = at.call(self.block, x)
        at.stage("shared block", self.block.equation(), made)
        return self.mixer.mix(x, at.below(self.mixer), linear(made, at.weights(self), Role.SHARED_PROJ))


class LowRank(Component, frozen=True, kw_only=True):
    """Two thin matrices whose product is added to the matrix of `to` in one of the layers that share it."""

    to: str
    rank: Size
    width: Size
    out: Size
    section: Section | None = Section.ADAPTER

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("0", Role.LORA_A), Linear("1", Role.LORA_B))

    def sizes(self) -> Sizes:
        return {Role.LORA_A: (self.rank, self.width), Role.LORA_B: (self.out, self.rank)}

    @property
    def awaited(self) -> bool:
        """Each is read in its own layer."""
        return False

    def equation(self, x: str = "x") -> str:
        return f"({self.to} + lora_b·lora_a)·{x}"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.LORA_A: f"lora_a·x   {int(self.rank)} numbers",
            Role.LORA_B: f"lora_b·(…) is added to {self.to}·x in one layer",
        }
