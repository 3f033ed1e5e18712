"""DaViT (arXiv 2204.03645): stages of layers that look within windows, then from channel to channel.

Legend: N images, R rows, C columns, D width, G groups of channels, d channels of a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.attend import attend
from weightscope.components.attention.sees import EVERYTHING
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.components.vision.window_attention import WindowAttention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch

# What a pass shares: how many images there are, of how many rows and columns.
KEY = "images, rows and columns"


def flattened(x: torch.Tensor, at: At) -> torch.Tensor:
    """Maps [N, D, R, C] as vectors [N · R · C, D], row by row; what follows knows how they lie."""
    at.run.shared[KEY] = (len(x), *x.shape[2:])
    return x.movedim(1, -1).flatten(0, 2)


def raised(x: torch.Tensor, at: At) -> torch.Tensor:
    """The inverse: vectors [N · R · C, D] as [N, R, C, D]."""
    return x.unflatten(0, at.run.shared[KEY])  # type: ignore[no-untyped-call,no-any-return]


class ConvolutionEmbedding(Component, frozen=True, kw_only=True):
    """A convolution that makes wider vectors, and fewer, with a norm `before` it or `after` it."""

    name: str
    kernel_name: str
    role: Role
    inputs: Size
    outputs: Size
    kernel: Size
    stride: Size
    padding: Size
    before: Norm | None
    after: Norm | None
    word: ClassVar[str] = "embedding"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel(self.kernel_name, self.role, bias=True),)

    def sizes(self) -> Sizes:
        return {self.role: (self.outputs, self.inputs, self.kernel, self.kernel)}

    def equation(self, x: str = "x") -> str:
        x = f"{self.before.word}({x})" if self.before else x
        made = f"{self.role} ∗ {x} + bias"
        return f"{self.after.word}({made})" if self.after else made

    def terms(self) -> Mapping[Role, str]:
        return {self.role: f"{self.equation()}   {self.kernel:,} × {self.kernel:,} places, moved by {self.stride:,}"}

    def side(self, length: int) -> int:
        """How many rows or columns become of so many."""
        return (length + 2 * int(self.padding) - int(self.kernel)) // int(self.stride) + 1

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Maps [N, inputs, R, C] to vectors [N · rows · columns, outputs]."""
        import torch

        weights = at.weights(self)
        x = at.call(self.before, x.movedim(1, -1)).movedim(-1, 1) if self.before else x
        made = torch.nn.functional.conv2d(
            x,
            weights[self.role],
            weights[f"{self.role}.bias"],
            stride=int(self.stride),
            padding=int(self.padding),
        )
        vectors = flattened(made, at)
        return at.call(self.after, vectors) if self.after else vectors


class Neighbours(Component, frozen=True, kw_only=True):
    """x + convolution ∗ x: 3 × 3 places, each channel by itself."""

    name: str
    width: Size
    word: ClassVar[str] = "convolution"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.CONVOLUTION, bias=True),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.width, Size(1), Size(3), Size(3))}

    def equation(self, x: str = "x") -> str:
        return f"{x} + convolution ∗ {x} + bias"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"{self.equation()}   3 × 3 places, each channel by itself"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N · R · C, D] to the same."""
        import torch

        weights, maps = at.weights(self), raised(x, at).movedim(-1, 1)
        kernel, bias = weights[Role.CONVOLUTION], weights[f"{Role.CONVOLUTION}.bias"]
        mixed = torch.nn.functional.conv2d(maps, kernel, bias, padding=1, groups=int(self.width))
        return x + mixed.movedim(1, -1).flatten(0, 2)


class PlaneWindows(WindowAttention, frozen=True, kw_only=True):
    """Of images of any shape."""

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N · R · C, D] to the same."""
        return self.windowed(raised(x, at), at)


class ChannelAttention(Component, frozen=True, kw_only=True):
    """A channel of an image sees those of its own group; what they say is what they have at each place."""

    name: str
    width: Size
    groups: Size
    bias: bool
    word: ClassVar[str] = "channel attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Linear("qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=self.bias)
        yield Linear("proj", Role.O_PROJ, bias=True)

    def sizes(self) -> Sizes:
        return dict.fromkeys((Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ), (self.width, self.width))

    def equation(self, x: str = "x") -> str:
        return f"o_proj·(softmax(qᵀ·k/√places)·vᵀ)ᵀ of {x}"

    def terms(self) -> Mapping[Role, str]:
        groups = f"in {int(self.groups)} groups of {int(self.width // self.groups)} channels"
        return {
            Role.Q_PROJ: f"q = q_proj·x   {groups}",
            Role.K_PROJ: f"k = k_proj·x   {groups}",
            Role.V_PROJ: f"v = v_proj·x   {groups}",
            Role.O_PROJ: "o_proj·[groups side by side]",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N · R · C, D] to the same."""
        import torch

        weights, images, groups = at.weights(self), at.run.shared[KEY][0], int(self.groups)
        # [N, G, d, R · C]: channels are what attends, and places what they have.
        q, k, v = (
            linear(x, weights, role).reshape(images, -1, groups, len(weights[role]) // groups).permute(0, 2, 3, 1)
            for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
        )
        scale = q.shape[-1] ** -0.5
        mixed = [attend(*of_one, scale=scale, sees=EVERYTHING) for of_one in zip(q, k, v, strict=True)]
        return linear(torch.stack(mixed).permute(0, 3, 1, 2).flatten(2).flatten(0, 1), weights, Role.O_PROJ)


class MixingBlock(Block, frozen=True, kw_only=True):
    """Before attention and before the MLP each channel is mixed with its neighbours."""

    first: Neighbours
    second: Neighbours

    def children(self) -> Iterable[Component]:
        *parts, first, second = super().children()
        return first, *parts, second

    def equation(self, x: str = "x") -> str:
        attended, fed = self._halves(x)
        return f"{self.first.equation(x)}, then {attended}, then {self.second.equation(x)}, then {fed}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N · R · C, D] to the same."""
        return super().forward(self._mixed(self.first, x, at), at)

    def looked(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The residual stream after its second convolution."""
        return self._mixed(self.second, x, at)

    @staticmethod
    def _mixed(part: Neighbours, x: torch.Tensor, at: At) -> torch.Tensor:
        made = at.call(part, x)
        at.stage(part.word, part.equation(), made)
        return made


class TwoWays(Component, frozen=True, kw_only=True):
    """A layer: attention within windows, then from channel to channel."""

    places: MixingBlock
    channels: MixingBlock

    def equation(self, x: str = "x") -> str:
        return f"{self.places.equation(x)}; {self.channels.equation(x)}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N · R · C, D] to the same."""
        x = at.call(self.places, x)
        return at.call(self.channels, x)
