"""What SAM is asked: points, boxes and masks as vectors (arXiv 2304.02643).

Legend: P prompts, each for masks of its own; K points or corners of a prompt; D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.activations import activate
from weightscope.components.norm import Norm
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.vision.mask_parts import Shrinking
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain
from weightscope.storage.shared import Copy

if TYPE_CHECKING:
    import torch

POINTS, LABELS, BOXES, MASKS = "input_points", "input_labels", "input_boxes", "input_masks"
# What labels say of a point besides 0, outside, and 1, inside.
NO_POINT, PADDING = -1, -10


class PlaceCode(Component, frozen=True, kw_only=True):
    """[sin | cos] of 2π · (2·place - 1)·frequencies, for places from 0 to 1."""

    name: str
    features: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("positional_embedding", Role.POSITION_EMBEDDING, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.POSITION_EMBEDDING: (Size(2), self.features)}

    def equation(self, x: str = "place") -> str:
        return f"[sin | cos](2π · (2·{x} − 1)·position_embedding)"

    def terms(self) -> Mapping[Role, str]:
        return {Role.POSITION_EMBEDDING: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Places [N, 2], column and row, to [N, D]."""
        import torch

        angles = 2 * math.pi * ((2 * x - 1) @ at.weights(self)[Role.POSITION_EMBEDDING])
        return torch.cat((angles.sin(), angles.cos()), dim=-1)

    def grid(self, side: int, at: At) -> torch.Tensor:
        """The codes [side², D] of the middles of all places."""
        import torch

        middle = (torch.arange(side, device=at.run.device, dtype=at.run.dtype) + 0.5) / side
        rows, columns = torch.meshgrid(middle, middle, indexing="ij")
        return self.forward(torch.stack((columns, rows), dim=-1).flatten(0, 1), at)


class MaskCode(Component, frozen=True, kw_only=True):
    """A mask as a map of vectors: a quarter of its sides, `width` channels."""

    name: str
    first: Shrinking
    first_norm: Norm
    second: Shrinking
    second_norm: Norm
    last: Shrinking
    activation: str

    def equation(self, x: str = "mask") -> str:
        return f"three convolutions of {x}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[1, 1, rows, columns] to [1, D, rows / 4, columns / 4]."""
        for convolution, norm in ((self.first, self.first_norm), (self.second, self.second_norm)):
            x = activate(self.activation, at.call(norm, at.call(convolution, x).movedim(1, -1)).movedim(-1, 1))
        return at.call(self.last, x)


class PromptEncoder(Component, frozen=True, kw_only=True):
    """`points` are added to the codes of points outside and inside, then of the two corners of a box.

    Files may have the code of places, of so many `features`, here again; where it is not tied, it is the `own` one.
    """

    name: str
    image: Size
    features: Size
    own: PlaceCode | None = None
    points: Repeat
    no_point: Embedding
    mask: MaskCode
    no_mask: Embedding

    @property
    def stored(self) -> Iterable[StorageItem]:
        return () if self.own else (Copy("shared_embedding.positional_embedding", Role.POSITION_EMBEDDING),)

    def sizes(self) -> Sizes:
        return {Role.POSITION_EMBEDDING: (Size(2), self.features)}

    def equation(self, x: str = "prompts") -> str:
        return f"code of place + {Role.POINT_EMBEDDING} of {x}"

    def sparse(self, inputs: Inputs, code: PlaceCode, places: At, at: At) -> list[torch.Tensor]:
        """The vectors [K, D] of each prompt; `places` is where the code of places lies."""
        import torch

        points, boxes = inputs.get(POINTS), inputs.get(BOXES)
        found: list[list[torch.Tensor]] = []
        code, places = (self.own, at.below(self.own)) if self.own else (code, places)
        if points is not None:
            given = inputs.get(LABELS)
            labels = torch.ones(points.shape[1:3], device=points.device) if given is None else given[0]
            pairs = zip(points[0], labels, strict=True)
            found.append([self._points(*pair, code, places, at, padded=boxes is None) for pair in pairs])
        if boxes is not None:
            found.append([self._corners(box.view(2, 2), code, places, at) for box in boxes[0]])
        return [torch.cat(parts) for parts in zip(*found, strict=True)]

    def dense(self, inputs: Inputs, at: At) -> torch.Tensor:
        """What is added to the image at each place, [places, D], or the same everywhere, [1, D]."""
        import torch

        if MASKS not in inputs:
            return at.call(self.no_mask, torch.zeros(1, dtype=torch.long, device=at.run.device))
        mask = inputs[MASKS]
        return at.call(self.mask, mask.reshape(1, 1, *mask.shape[-2:]))[0].flatten(1).T

    def _points(
        self, points: torch.Tensor, labels: torch.Tensor, code: PlaceCode, places: At, at: At, *, padded: bool
    ) -> torch.Tensor:
        """Points [K, 2] in pixels as vectors, and one more that is none where nothing follows them."""
        import torch

        if padded:
            points = torch.nn.functional.pad(points + 0.5, (0, 0, 0, 1))
            labels = torch.nn.functional.pad(labels, (0, 1), value=NO_POINT)
        else:
            points = points + 0.5
        vectors = code.forward(points / int(self.image), places)
        none = at.call(self.no_point, torch.zeros(1, dtype=torch.long, device=points.device))
        vectors = torch.where(labels[:, None] == NO_POINT, none, vectors)
        vectors = vectors.masked_fill(labels[:, None] == PADDING, 0.0)
        for kind in (0, 1):
            vectors = vectors + (labels[:, None] == kind) * self._added(kind, at)
        return vectors

    def _corners(self, corners: torch.Tensor, code: PlaceCode, places: At, at: At) -> torch.Tensor:
        import torch

        kinds = torch.cat([self._added(kind, at) for kind in (2, 3)])
        return code.forward((corners + 0.5) / int(self.image), places) + kinds

    def _added(self, kind: int, at: At) -> torch.Tensor:
        import torch

        table = self.points.child
        return table.forward(torch.zeros(1, dtype=torch.long, device=at.run.device), at.below(self.points, kind))
