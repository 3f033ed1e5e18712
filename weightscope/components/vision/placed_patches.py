"""No vision tower: the colours of large patches through one matrix between norms (Gemma 4 12B, Google 2026)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

EPS = 1e-5


class MergedPatches(Component, frozen=True, kw_only=True):
    """norm(norm(dense·norm(pixels)) + column + row) of patches of `patch` × `patch` pixels."""

    processor: ClassVar[str] = "Gemma4UnifiedImageProcessor"
    square: ClassVar[int] = 1

    name: str
    width: Size
    patch: Size
    rows: Size
    section: Section | None = Section.VISION

    @property
    def values(self) -> int:
        """Colours of a patch."""
        return int(self.patch * self.patch * 3)

    @property
    def glance(self) -> str:
        return f"vision without layers, patches of {self.patch} px"

    @property
    def dense(self) -> Projection:
        """From a patch's colours to a vector."""
        return Projection(
            name="patch_dense",
            inputs=self.patch * self.patch * 3,
            outputs=self.width,
            bias=True,
            role=Role.PATCH_EMBEDDING,
        )

    @property
    def norms(self) -> tuple[LayerNorm, LayerNorm, LayerNorm]:
        """Before the matrix, after it, and of the sum with the positions."""
        return (
            LayerNorm(name="patch_ln1", role=Role.INPUT_NORM, size=self.patch * self.patch * 3, eps=EPS),
            LayerNorm(name="patch_ln2", role=Role.EMBEDDING_NORM, size=self.width, eps=EPS),
            LayerNorm(name="pos_norm", role=Role.FINAL_NORM, size=self.width, eps=EPS),
        )

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("pos_embedding", Role.POSITION_EMBEDDING, leaf=""),)

    def sizes(self) -> Sizes:
        """Of each number the column's vector, then the row's."""
        return {Role.POSITION_EMBEDDING: (self.rows, Size(2), self.width)}

    def children(self) -> Iterable[Component]:
        first, second, last = self.norms
        return first, self.dense, second, last

    def equation(self, x: str = "pixels") -> str:
        made = f"layer_norm({self.dense.equation(f'layer_norm({x})')})"
        return f"layer_norm({made} + position_embedding[column] + position_embedding[row])"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.POSITION_EMBEDDING: "position_embedding[column, 0] + position_embedding[row, 1] is added to each patch"
        }

    def see(self, x: torch.Tensor, places: Sequence[torch.Tensor], at: At) -> torch.Tensor:
        """Patches [N, values] of all images, and the columns and rows of each image's, to [N, width]."""
        import torch

        at, where = at.labelled("vision"), torch.cat(list(places))
        first, second, last = self.norms
        table = at.weights(self)[Role.POSITION_EMBEDDING]
        made = at.call(second, at.call(self.dense, at.call(first, x)))
        out = at.call(last, made + table[where[:, 0], 0] + table[where[:, 1], 1])
        at.stage("patch embedding", self.equation(), out)
        return out
