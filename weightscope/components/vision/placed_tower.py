"""A vision tower whose patches have learned columns and rows, and whose features are pooled in squares (Gemma 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, ClassVar

from weightscope.brief import plural
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.running import At, linear
from weightscope.components.vision.blocks import depth_of
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch


class PlacedPatches(Component, frozen=True, kw_only=True):
    """A matrix on each patch's colours, which go from -1 to 1, and vectors of its column and its row."""

    name: str
    width: Size
    patch: Size
    rows: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear("input_proj", Role.PATCH_EMBEDDING),
            Plain("position_embedding_table", Role.POSITION_EMBEDDING, leaf=""),
        )

    def sizes(self) -> Sizes:
        """The table has the columns' vectors, then the rows'."""
        return {
            Role.PATCH_EMBEDDING: (self.width, self.patch * self.patch * 3),
            Role.POSITION_EMBEDDING: (Size(2), self.rows, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        return f"patch_embedding·(2·{x} − 1) + position_embedding[column] + position_embedding[row]"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.PATCH_EMBEDDING: "patch_embedding·(2·pixels − 1)",
            Role.POSITION_EMBEDDING: "position_embedding[0, column] + position_embedding[1, row], added to each patch",
        }

    def of(self, x: torch.Tensor, places: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, values] at columns and rows [N, 2] to [N, width]."""
        weights = at.weights(self)
        table = weights[Role.POSITION_EMBEDDING]
        made = linear(2 * (x - 0.5), weights, Role.PATCH_EMBEDDING)
        return made + table[0, places[:, 0]] + table[1, places[:, 1]]


class Standardized(Component, frozen=True, kw_only=True):
    """(x − feature_bias) · feature_scale, both buffers of statistics."""

    width: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Buffer("std_bias", Role.FEATURE_BIAS, (self.width,), optional=False),
            Buffer("std_scale", Role.FEATURE_SCALE, (self.width,), optional=False),
        )

    def sizes(self) -> Sizes:
        return {Role.FEATURE_BIAS: (self.width,), Role.FEATURE_SCALE: (self.width,)}

    def equation(self, x: str = "x") -> str:
        return f"({x} − feature_bias) · feature_scale"

    def terms(self) -> Mapping[Role, str]:
        return dict.fromkeys((Role.FEATURE_BIAS, Role.FEATURE_SCALE), self.equation())

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width] to the same."""
        weights = at.weights(self)
        return (x - weights[Role.FEATURE_BIAS]) * weights[Role.FEATURE_SCALE]


class PlacedTower(Component, frozen=True, kw_only=True):
    """Patches through the blocks; the mean of each `square` × `square`, times √width, then `standardized`."""

    processor: ClassVar[str] = "Gemma4ImageProcessor"

    name: str
    patches: PlacedPatches
    blocks: tuple[Repeat, ...]
    square: int
    standardized: Standardized | None
    section: Section | None = Section.VISION

    @property
    def values(self) -> int:
        """Colours of a patch."""
        return int(self.patches.patch * self.patches.patch * 3)

    @property
    def rows(self) -> Size:
        """The most columns, and the most rows."""
        return self.patches.rows

    @property
    def glance(self) -> str:
        depth = depth_of(self.blocks)
        return f"vision {plural(depth, 'layer')} of {self.patches.width:,}, patches of {self.patches.patch} px"

    def see(self, x: torch.Tensor, places: Sequence[torch.Tensor], at: At) -> torch.Tensor:
        """Patches [N, values] of all images, and the columns and rows of each image's, to [N / square², width]."""
        import torch

        at, where = at.labelled("vision"), torch.cat(list(places))
        hidden = self.patches.of(x, where, at.below(self.patches))
        at.stage("patch embedding", self.patches.equation(), hidden)
        lengths = [len(image) for image in places]
        hidden = run_layers(self.blocks, hidden, at.apart(positions=where.T, segments={"image": lengths}))
        images = zip(torch.split(hidden, lengths), places, strict=True)
        pooled = torch.cat([self._pooled(image, int(there[:, 0].max()) + 1) for image, there in images])
        pooled = pooled * sqrt(self.patches.width)
        at.stage("pooled", f"mean of {self.square} × {self.square} patches of x · √{self.patches.width}", pooled)
        if self.standardized:
            pooled = at.call(self.standardized, pooled)
            at.stage("standardized", self.standardized.equation(), pooled)
        return pooled

    def _pooled(self, x: torch.Tensor, width: int) -> torch.Tensor:
        """The means [n / square², D] of one image's features [n, D], `width` patches wide."""
        k = self.square
        squares = x.unflatten(0, (-1, k, width // k, k))  # type: ignore[no-untyped-call]
        return squares.mean(dim=(1, 3)).flatten(0, 1)  # type: ignore[no-any-return]
