"""A vision transformer whose class vector and positions are stored as a batch of one (InternViT, ViT)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.running import At
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class BatchedEmbedding(PatchEmbedding, frozen=True, kw_only=True):
    """The convolution and the parameters beside it under names of their own."""

    kernel: str
    class_parameter: str
    position_parameter: str

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain(self.class_parameter, Role.CLASS_EMBEDDING, leaf="")
        yield Kernel(self.kernel, Role.PATCH_EMBEDDING, bias=self.bias)
        yield Plain(self.position_parameter, Role.POSITION_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        """Class vector (1, 1, width), positions (1, positions, width)."""
        one = Size(1)
        return {
            **super().sizes(),
            Role.CLASS_EMBEDDING: (one, one, self.width),
            Role.POSITION_EMBEDDING: (one, self.positions, self.width),
        }


class WholeNormEncoder(VisionEncoder, frozen=True, kw_only=True):
    """Alone it puts out the features of all patches and the class vector, through the last norm if there is one."""

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, the features [positions, width]."""
        (features,) = self.features(self.pixels(at.run.inputs), at, (-1,), normed=True)
        return features
