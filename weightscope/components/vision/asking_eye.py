"""An eye for square crops, padded and masked, of which learned queries make vectors (Aria, arXiv 2410.05993)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.asking_bridge import AskingBridge
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.tiles import Tiles, crops
from weightscope.errors import UsageError

MASK, CROPS = "pixel_mask", "num_crops"


class AskingEye(Eye, frozen=True, kw_only=True):
    """The bridge gets what leaves the tower's layer `layer`; `num_crops` says of how many crops an image is made."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, MASK, CROPS)
    beside: ClassVar[tuple[str, ...]] = (CROPS,)
    processor: ClassVar[str] = "AriaImageProcessor"

    tower: VisionEncoder
    bridge: AskingBridge
    layer: int

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        found = self._tiles(inputs)
        return (self._each(found),) * len(found.pixels)

    def see(self, inputs: Inputs, at: At) -> Seen:
        found = self._tiles(inputs)
        places, unseen = found.places(int(self.tower.patches.side)), found.unseen
        (features,) = self.tower.features(
            found.pixels, at.below(self.tower), (self.layer,), places=places, unseen=unseen
        )
        by_crop = features.unflatten(0, (len(found.pixels), -1))  # type: ignore[no-untyped-call]
        hidden = None if unseen is None else unseen.view(len(found.pixels), -1)
        return Seen(self.bridge.ask(by_crop, hidden, at.below(self.bridge)))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """An image's crops one after another; one number is that of each image."""
        found = self._tiles(inputs)
        many, each = len(found.pixels), self._each(found)
        numbers = whole_numbers(inputs, CROPS) if CROPS in inputs else [1]
        if len(numbers) == 1 and numbers[0] > 0:
            numbers *= many // numbers[0]
        if sum(numbers) != many or min(numbers) < 1:
            raise UsageError(f"{CROPS} tells another number of crops than the {many:,} of {PIXELS}")
        return [(each * number,) for number in numbers]

    def _tiles(self, inputs: Inputs) -> Tiles:
        return crops(inputs, self.tower.patches, MASK)

    def _each(self, found: Tiles) -> int:
        """Vectors of a crop."""
        rows, columns = found.grid
        known = dict(self.bridge.counts)
        if rows * columns not in known:
            raise UsageError(
                f"{PIXELS} has crops of {rows:,} × {columns:,} patches; the projector takes "
                f"{' or '.join(f'{count:,}' for count in known)}"
            )
        return known[rows * columns]
