"""FastViT's encoder with its branches joined, as timm has it: convolutions, and attention in the last stages.

Sources: `FastVit` of timm 1.0.31; arXiv 2303.14189. Maps are [images, rows, columns, channels].
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.batch_norm import BatchNorm
from weightscope.components.feed_forward.activations import activate
from weightscope.components.layer_scale import LayerScale
from weightscope.components.norm import LayerNorm
from weightscope.components.running import At
from weightscope.components.vision.same_convolution import CentredConvolution
from weightscope.components.vision.staged import depths_of
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes

if TYPE_CHECKING:
    import torch


class ChannelScale(LayerScale, frozen=True, kw_only=True):
    """A factor for each channel, stored with a row and a column."""

    def sizes(self) -> Sizes:
        return {Role.LAYER_SCALE: (self.size, Size(1), Size(1))}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[…, size]."""
        return x * at.weights(self)[Role.LAYER_SCALE].flatten()


class ActivatedConvolution(Component, frozen=True, kw_only=True):
    """gelu(convolution ∗ x)."""

    convolution: CentredConvolution

    def equation(self, x: str = "x") -> str:
        return f"gelu({self.convolution.equation(x)})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to what the convolution makes of it."""
        return activate("gelu", at.call(self.convolution, x))


class Steps(Component, frozen=True, kw_only=True):
    """Convolutions one after another."""

    convolutions: tuple[ActivatedConvolution | CentredConvolution, ...]
    word: ClassVar[str] = "convolutions"

    def equation(self, x: str = "x") -> str:
        for convolution in self.convolutions:
            x = convolution.equation(f"({x})" if " " in x else x)
        return x

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to a map of as many places or, with a stride, of fewer."""
        for convolution in self.convolutions:
            x = at.call(convolution, x)
        return x


class ConvolvedMLP(Component, frozen=True, kw_only=True):
    """down·gelu(up·norm(mixing ∗ x)): places are mixed channel by channel, then channels at each place."""

    name: str
    mixing: CentredConvolution
    norm: BatchNorm
    up: CentredConvolution
    down: CentredConvolution

    def equation(self, x: str = "x") -> str:
        return self.down.equation(f"gelu({self.up.equation(f'batch_norm({self.mixing.equation(x)})')})")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to the same."""
        mixed = at.call(self.norm, at.call(self.mixing, x).movedim(-1, 1)).movedim(1, -1)
        return at.call(self.down, activate("gelu", at.call(self.up, mixed)))


class FastBlock(Component, frozen=True, kw_only=True):
    """y + scale · mlp(y), y = mixer ∗ x."""

    mixer: CentredConvolution
    mlp: ConvolvedMLP
    scale: ChannelScale

    def equation(self, x: str = "x") -> str:
        return f"y + {Role.LAYER_SCALE} · mlp(y),  y = {self.mixer.equation(x)}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to the same."""
        mixed = at.call(self.mixer, x)
        out = mixed + at.call(self.scale, at.call(self.mlp, mixed))
        at.stage("convolutions", self.equation(), out.flatten(0, 2))
        return out


class FastAttentionBlock(Component, frozen=True, kw_only=True):
    """X + scale · attention(norm(x)), then x + scale · mlp(x): a place sees all places of its image."""

    norm: LayerNorm
    attention: Attention
    scales: tuple[ChannelScale, ChannelScale]
    mlp: ConvolvedMLP

    def children(self) -> Iterable[Component]:
        return self.norm, self.attention, self.scales[0], self.mlp, self.scales[1]

    def equation(self, x: str = "x") -> str:
        scale = Role.LAYER_SCALE
        return f"y + {scale} · mlp(y),  y = {x} + {scale} · attention({self.norm.word}({x}))"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to the same."""
        images, rows, columns, _ = x.shape
        within = at.apart(segments={"image": [rows * columns] * images})
        mixed = within.call(self.attention, at.call(self.norm, x).flatten(0, 2)).view_as(x)
        x = x + at.call(self.scales[0], mixed)
        out = x + at.call(self.scales[1], at.call(self.mlp, x))
        at.stage("attention and convolutions", self.equation(), out.flatten(0, 2))
        return out


class Squeeze(Component, frozen=True, kw_only=True):
    """X · sigmoid(up·relu(down·mean(x))): each channel by what all places of the image show (arXiv 1709.01507)."""

    name: str
    down: CentredConvolution
    up: CentredConvolution

    def equation(self, x: str = "x") -> str:
        squeezed = f"relu({self.down.equation(f'mean({x})')})"
        return f"{x} · sigmoid({self.up.equation(squeezed)})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to the same."""
        mean = x.mean((1, 2), keepdim=True)
        return x * at.call(self.up, at.call(self.down, mean).relu()).sigmoid()


class FastViT(Component, frozen=True, kw_only=True):
    """A stem, stages each of which halves both sides but the first, then `last`, gelu of `squeeze` on a convolution."""

    name: str
    stem: Steps
    stages: tuple[Repeat, ...]
    last: CentredConvolution
    squeeze: Squeeze
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        return f"vision FastViT, {depths_of(self.stages)} layers up to {self.width:,} channels"

    @property
    def width(self) -> Size:
        """Of the vectors that leave."""
        return self.last.outputs

    def side(self, pixels: int) -> int:
        """How many places a side of so many pixels has in the end: the stem halves it twice, later stages once each."""
        for _ in range(len(self.stages) + 1):
            pixels = -(-pixels // 2)
        return pixels

    def features(self, pixels: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, height, width] to [images · places, width]."""
        at = at.apart(segments={}).labelled("vision")
        hidden = at.call(self.stem, pixels.movedim(1, -1))
        at.stage("stem", self.stem.equation("pixels"), hidden.flatten(0, 2))
        for number, stage in enumerate(self.stages):
            hidden = stage.child.forward(hidden, at.below(stage, stage.indices[0]).labelled(f"vision stage {number}"))
        hidden = activate("gelu", at.call(self.squeeze, at.call(self.last, hidden))).flatten(0, 2)
        at.stage("features", f"gelu({self.squeeze.equation(self.last.equation())})", hidden)
        return hidden
