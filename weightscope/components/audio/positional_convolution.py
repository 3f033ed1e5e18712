"""Positions by a wide convolution over the frames (wav2vec 2.0, arXiv 2006.11477)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Conflict
from weightscope.components.batch_norm import BatchNorm
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch


class PositionalConvolution(Component, frozen=True, kw_only=True):
    """activation(convolution(norm(x))), in `groups` of channels; `item` is how the kernel is stored.

    Without a `norm` x enters as it is.
    """

    name: str
    item: StorageItem
    width: Size
    kernel: Size
    groups: Size
    activation: str
    norm: BatchNorm | None = None

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (self.item,)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.width, self.width // self.groups, self.kernel)}

    def conflicts(self) -> Iterable[Conflict]:
        """Channels that no number of groups shares equally."""
        if self.width % self.groups:
            yield Conflict(
                f"{self.width.text} {self.width:,} is not a multiple of {self.groups:,} {self.groups.text}",
                (*self.width.keys, *self.groups.keys),
            )

    def equation(self, x: str = "x") -> str:
        x = f"batch_norm({x})" if self.norm else x
        return f"{WORDS.get(self.activation, self.activation)}(convolution ∗ {x} + bias)"

    def terms(self) -> Mapping[Role, str]:
        groups = f"in {self.groups:,} groups of channels"
        return {Role.CONVOLUTION: f"{self.equation()}   over {self.kernel:,} frames, {groups}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[B, F, D] to the same."""
        import torch

        weights, kernel = at.weights(self), int(self.kernel)
        turned = x.transpose(1, 2)
        turned = at.call(self.norm, turned) if self.norm else turned
        made = torch.nn.functional.conv1d(
            turned,
            weights[Role.CONVOLUTION],
            weights[f"{Role.CONVOLUTION}.bias"],
            padding=kernel // 2,
            groups=int(self.groups),
        )
        # An even kernel gives one frame more.
        return activate(self.activation, made[..., : x.shape[1]]).transpose(1, 2)
