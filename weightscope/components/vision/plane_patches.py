"""Patches of an image of any size, row by row, without a class vector (Swin, ConvNeXt)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.vision.marked_patches import MASKED
from weightscope.components.vision.plane import flattened
from weightscope.errors import UsageError
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class PlanePatches(Component, frozen=True, kw_only=True):
    """norm(patch_embedding ∗ pixels + bias); what is left over at an edge is dropped."""

    name: str
    projection: str
    width: Size
    channels: Size
    patch: Size
    norm: Norm
    least: int = 1

    @property
    def masked(self) -> bool:
        """Whether a vector stands for masked patches."""
        return False

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel(self.projection, Role.PATCH_EMBEDDING, bias=True),)

    def sizes(self) -> Sizes:
        """(width, channels, patch, patch), as `torch.nn.Conv2d` has it."""
        return {Role.PATCH_EMBEDDING: (self.width, self.channels, self.patch, self.patch)}

    def equation(self, x: str = "pixels") -> str:
        return f"{self.norm.word}(patch_embedding ∗ {x} + bias)"

    def terms(self) -> Mapping[Role, str]:
        patch = int(self.patch)
        return {Role.PATCH_EMBEDDING: f"patch_embedding ∗ pixels   a vector for each {patch} × {patch} pixels"}

    def held(self, inputs: Inputs, sides: tuple[int, int]) -> None:
        """Hold inputs against each other and an image's height and width.

        Raises:
            UsageError: the image is too small, or another input does not fit to it.
        """
        del inputs
        if min(sides) < self.patch * self.least:
            raise UsageError(f"an image of {sides[0]:,} × {sides[1]:,} pixels is too small")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [1, channels, height, width] to [rows · columns, width]."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.PATCH_EMBEDDING], weights[f"{Role.PATCH_EMBEDDING}.bias"]
        made = torch.nn.functional.conv2d(x, kernel, bias, stride=int(self.patch))
        return at.call(self.norm, flattened(made[0].movedim(0, -1), at))


class PaddedPatches(PlanePatches, frozen=True, kw_only=True):
    """The same of images that are padded with zeros to whole patches; `positions` are learned where there are any.

    With a `mask` vector some patches may be masked.
    """

    positions: Size | None
    mask: bool

    @property
    def masked(self) -> bool:
        return self.mask

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield from super().stored
        if self.positions is not None:
            yield Plain("position_embeddings", Role.POSITION_EMBEDDING, leaf="")
        if self.mask:
            yield Plain("mask_token", Role.MASK_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        """Positions (1, patches, width), and (1, 1, width) of what stands for masked ones."""
        one = Size(1)
        return {
            **super().sizes(),
            Role.POSITION_EMBEDDING: (one, self.positions or one, self.width),
            Role.MASK_EMBEDDING: (one, one, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        return super().equation(x) + (" + position_embedding" if self.positions is not None else "")

    def terms(self) -> Mapping[Role, str]:
        return {
            **super().terms(),
            Role.POSITION_EMBEDDING: "position_embedding[place] is added to each vector",
            Role.MASK_EMBEDDING: "stands for masked patches",
        }

    def held(self, inputs: Inputs, sides: tuple[int, int]) -> None:
        height, width = (-(-side // int(self.patch)) for side in sides)
        if self.positions is not None and height * width != self.positions:
            raise UsageError(
                f"an image of {sides[0]:,} × {sides[1]:,} pixels has {height * width:,} patches, and there are "
                f"{self.positions:,} positions"
            )
        if MASKED in inputs and inputs[MASKED].numel() != height * width:
            raise UsageError(
                f"{MASKED} has shape {list(inputs[MASKED].shape)}: the image has {height * width:,} patches"
            )

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [1, channels, height, width] to [rows · columns, width]."""
        import torch

        patch, weights, masked = int(self.patch), at.weights(self), at.run.inputs.get(MASKED)
        vectors = super().forward(torch.nn.functional.pad(x, (0, -x.shape[3] % patch, 0, -x.shape[2] % patch)), at)
        if masked is not None:
            vectors = torch.where(masked.reshape(-1, 1).bool(), weights[Role.MASK_EMBEDDING][0], vectors)
        return vectors if self.positions is None else vectors + weights[Role.POSITION_EMBEDDING][0]
