"""DeepSeek-VL's two towers: SAM's over a large image, joined with SigLIP's over a small one (arXiv 2403.05525)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import activate
from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen
from weightscope.components.vision.convolved import Convolved
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.sam import Neck, SamEncoder
from weightscope.errors import UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

LARGE = "high_res_pixel_values"


class HighResolution(Component, frozen=True, kw_only=True):
    """SAM's map of features, and what its layer `tapped` puts out through a neck of its own, times `alpha`.

    Each is resized to 4 · `side` and halved twice, so that it has as many places as the small image has patches.
    """

    name: str
    tower: SamEncoder
    tapped: int
    neck: Neck
    first: Convolved
    second: Convolved
    side: int
    section: Section | None = Section.VISION

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("high_res_vision_alpha", Role.LAYER_SCALE, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.LAYER_SCALE: (Size(1),)}

    def equation(self, x: str = "x") -> str:
        return f"halved(last) + layer_scale · halved(neck(layer {self.tapped})) of {x}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.LAYER_SCALE: "layer_scale · what an earlier layer puts out"}

    def features(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, height, width] to [images · side², channels]."""
        last, tapped = self.tower.maps(x, at.below(self.tower), self.tapped)
        alpha = at.weights(self)[Role.LAYER_SCALE]
        both = self._halved(last, at) + self._halved(at.call(self.neck, tapped), at) * alpha
        flat = both.movedim(1, -1).flatten(0, 2)
        at.labelled("vision").stage("high resolution", self.equation(), flat)
        return flat

    def _halved(self, x: torch.Tensor, at: At) -> torch.Tensor:
        import torch

        size = (4 * self.side, 4 * self.side)
        wide = torch.nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
        return at.call(self.second, at.call(self.first, wide))


class HybridAligner(Component, frozen=True, kw_only=True):
    """A matrix for each tower's features; both side by side, activated, through a third."""

    name: str
    small: Projection
    large: Projection
    last: Projection
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        return self.last.equation(f"gelu([{self.large.equation('large')} | {self.small.equation(x)}])")

    def joined(self, small: torch.Tensor, large: torch.Tensor, at: At) -> torch.Tensor:
        """Features [N, width] of each tower to [N, width of the language model]."""
        import torch

        both = torch.cat((at.call(self.large, large), at.call(self.small, small)), dim=-1)
        made = at.call(self.last, activate("gelu", both))
        at.stage("projector", self.equation(), made)
        return made


class HybridEye(Eye, frozen=True, kw_only=True):
    """Each image in two sizes: `pixel_values` and `high_res_pixel_values`."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, LARGE)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, LARGE)
    processor: ClassVar[str] = "DeepseekVLHybridImageProcessor"

    tower: VisionEncoder
    large: HighResolution
    aligner: HybridAligner

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        small, large = self.tower.pixels(inputs), inputs[LARGE]
        encoder = self.large.tower
        wanted = [len(small), int(encoder.patches.channels), int(encoder.image), int(encoder.image)]
        if list(large.shape) != wanted:
            raise UsageError(f"{LARGE} has shape {list(large.shape)}, not {wanted}")
        return (int(self.tower.patches.positions),) * len(small)

    def see(self, inputs: Inputs, at: At) -> Seen:
        small = self.tower.pixels(inputs)
        (features,) = self.tower.features(small, at.below(self.tower), (-1,), normed=True)
        large = self.large.features(inputs[LARGE], at.below(self.large))
        return Seen(self.aligner.joined(features, large, at.below(self.aligner)))
