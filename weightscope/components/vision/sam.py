"""SAM's image encoder: attention within windows, learned biases by distance, and a neck (arXiv 2304.02643)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.brief import plural
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import LayerNorm
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of
from weightscope.components.vision.convolved import Convolved
from weightscope.components.vision.window_attention import WindowAttention
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class SquareWindows(WindowAttention, frozen=True, kw_only=True):
    """Of square images of `side` × `side` patches."""

    side: Size

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [images · side², width], row by row, to the same."""
        side = int(self.side)
        return self.windowed(x.reshape(-1, side, side, x.shape[-1]), at)


class SquarePatches(Component, frozen=True, kw_only=True):
    """A convolution of stride `patch`, and learned positions by row and column where there are any."""

    width: Size
    channels: Size
    side: Size
    patch: Size
    placed: bool

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Kernel("patch_embed.projection", Role.PATCH_EMBEDDING, bias=True)
        if self.placed:
            yield Plain("pos_embed", Role.POSITION_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        return {
            Role.PATCH_EMBEDDING: (self.width, self.channels, self.patch, self.patch),
            Role.POSITION_EMBEDDING: (Size(1), self.side, self.side, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        return f"patch_embedding ∗ {x} + bias" + (" + position_embedding" if self.placed else "")

    def terms(self) -> Mapping[Role, str]:
        patch = int(self.patch)
        return {
            Role.PATCH_EMBEDDING: f"patch_embedding ∗ pixels   a vector for each {patch} × {patch} pixels",
            Role.POSITION_EMBEDDING: "position_embedding[row, column] is added to each vector",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, height, width] to [images · side², width], row by row."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.PATCH_EMBEDDING], weights[f"{Role.PATCH_EMBEDDING}.bias"]
        vectors = torch.nn.functional.conv2d(x, kernel, bias, stride=int(self.patch)).permute(0, 2, 3, 1)
        return (vectors + weights[Role.POSITION_EMBEDDING] if self.placed else vectors).flatten(0, 2)


class Neck(Component, frozen=True, kw_only=True):
    """Two convolutions, each before a norm of the channels."""

    name: str
    first: Convolved
    first_norm: LayerNorm
    second: Convolved
    second_norm: LayerNorm

    def equation(self, x: str = "x") -> str:
        return f"norm({self.second.equation(f'norm({self.first.equation(x)})')})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, width, rows, columns] to [images, channels, rows, columns]."""
        for convolution, norm in ((self.first, self.first_norm), (self.second, self.second_norm)):
            x = at.call(norm, at.call(convolution, x).movedim(1, -1)).movedim(-1, 1)
        return x


class SamEncoder(Component, frozen=True, kw_only=True):
    """Patches through the blocks and the neck to a map of features."""

    name: str
    image: Size
    patches: SquarePatches
    blocks: tuple[Repeat, ...]
    neck: Neck
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        depth = depth_of(self.blocks)
        patches = self.patches
        return f"vision {plural(depth, 'layer')} of {patches.width:,}, {self.image:,} px in patches of {patches.patch}"

    def features(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, image, image] to [images, channels of the neck, side, side]."""
        return self.maps(x, at, None)[0]

    def maps(self, x: torch.Tensor, at: At, layer: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The same, and what leaves a layer, or without one the last, [images, width, side, side]."""
        at = at.labelled("vision")
        side = int(self.patches.side)
        hidden = at.call(self.patches, x)
        at.stage("patch embedding", self.patches.equation(), hidden)
        found: dict[int, torch.Tensor] = {}

        def tap(number: int, out: torch.Tensor) -> None:
            if number == layer:
                found[number] = out

        hidden = run_layers(self.blocks, hidden, at.apart(segments={}), tap=tap)
        square, tapped = (
            some.reshape(len(x), side, side, -1).movedim(-1, 1)
            for some in (hidden, hidden if layer is None else found[layer])
        )
        made = at.call(self.neck, square)
        at.stage("neck", self.neck.equation(), made.movedim(1, -1).flatten(0, 2))
        return made, tapped
