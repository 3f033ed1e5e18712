"""Patches of a spectrogram that was folded into a square, and its close-ups joined to them (CLAP, arXiv 2211.06687).

Shapes: C close-ups, D width, h rows and w columns of patches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.batch_norm import BatchNorm
from weightscope.components.norm import LayerNorm
from weightscope.components.running import At
from weightscope.components.vision.plane import flattened
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch

ONE = Size(1)


class Pointwise(Component, frozen=True, kw_only=True):
    """A matrix on the channels of each place, stored as a convolution, then a norm of the batch."""

    name: str
    number: int
    inputs: Size
    outputs: Size

    @property
    def norm(self) -> BatchNorm:
        """The module after the convolution."""
        return BatchNorm(name=str(self.number + 1), size=self.outputs)

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel(str(self.number), Role.CONVOLUTION, bias=True, last=False),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, ONE, ONE)}

    def children(self) -> Iterable[Component]:
        return (self.norm,)

    def equation(self, x: str = "x") -> str:
        return f"batch_norm(convolution ∗ {x} + bias)"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[1, inputs, h, w] to [1, outputs, h, w]."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.CONVOLUTION], weights[f"{Role.CONVOLUTION}.bias"]
        return at.call(self.norm, torch.nn.functional.conv2d(x, kernel, bias))


class Fusion(Component, frozen=True, kw_only=True):
    """2·(share · x + (1 - share) · y), where share is a sigmoid of what both make together (arXiv 2009.14082)."""

    name: str
    width: Size
    inner: Size

    @property
    def near(self) -> tuple[Pointwise, Pointwise]:
        """Of each place alone."""
        return self._pair("local_att", 0)

    @property
    def whole(self) -> tuple[Pointwise, Pointwise]:
        """Of the mean over all places."""
        return self._pair("global_att", 1)

    def _pair(self, name: str, first: int) -> tuple[Pointwise, Pointwise]:
        return (
            Pointwise(name=name, number=first, inputs=self.width, outputs=self.inner),
            Pointwise(name=name, number=first + 3, inputs=self.inner, outputs=self.width),
        )

    def children(self) -> Iterable[Component]:
        return *self.near, *self.whole

    def equation(self, x: str = "x") -> str:
        return f"2·(share · {x} + (1 − share) · close-ups),  share = sigmoid(local_att + global_att)"

    def join(self, x: torch.Tensor, other: torch.Tensor, at: At) -> torch.Tensor:
        """Two of [1, D, h, w] to one."""
        both = x + other
        made = self._through(self.near, both, at) + self._through(self.whole, both.mean((2, 3), keepdim=True), at)
        share = made.sigmoid()
        return 2 * x * share + 2 * other * (1 - share)

    @staticmethod
    def _through(pair: tuple[Pointwise, Pointwise], x: torch.Tensor, at: At) -> torch.Tensor:
        return at.call(pair[1], at.call(pair[0], x).relu())


class Convolution(Component, frozen=True, kw_only=True):
    """A convolution over rows and columns in `steps`, with `padding` zeros around."""

    name: str
    inputs: Size
    outputs: Size
    kernel: tuple[Size, Size]
    steps: tuple[int, int]
    padding: tuple[int, int]

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.PATCH_EMBEDDING, bias=True, last=False),)

    def sizes(self) -> Sizes:
        return {Role.PATCH_EMBEDDING: (self.outputs, self.inputs, *self.kernel)}

    def equation(self, x: str = "x") -> str:
        return f"patch_embedding ∗ {x} + bias"

    def terms(self) -> Mapping[Role, str]:
        kernel, steps = (f"{rows} × {columns}" for rows, columns in (self.kernel, self.steps))
        return {Role.PATCH_EMBEDDING: f"{self.equation()}   over {kernel}, every {steps}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs, rows, columns] to [N, outputs, h, w]."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.PATCH_EMBEDDING], weights[f"{Role.PATCH_EMBEDDING}.bias"]
        return torch.nn.functional.conv2d(x, kernel, bias, stride=self.steps, padding=self.padding)


class SpectrogramPatches(Component, frozen=True, kw_only=True):
    """norm(patch_embedding ∗ spectrogram); `close` makes patches of close-ups, and `fusion` joins them."""

    name: str
    patches: Convolution
    close: Convolution | None
    fusion: Fusion | None
    norm: LayerNorm | None

    def equation(self, x: str = "spectrogram") -> str:
        made = self.patches.equation(x)
        return f"{self.norm.word}({made})" if self.norm else made

    def of(self, pictures: torch.Tensor, at: At, *, longer: bool) -> torch.Tensor:
        """Pictures [1, 1 + C, rows, columns], the whole first, to [h · w, D]; of a `longer` clip all are joined."""
        import torch

        made = at.call(self.patches, pictures[:, :1] if self.fusion else pictures)
        if self.fusion and self.close and longer:
            near = at.call(self.close, pictures[0, 1:, None])
            beside = near.permute(1, 2, 0, 3).flatten(2)[None]
            beside = torch.nn.functional.pad(beside, (0, made.shape[3] - beside.shape[3]))
            made = self.fusion.join(made, beside, at.below(self.fusion))
        vectors = flattened(made[0].movedim(0, -1), at)
        return at.call(self.norm, vectors) if self.norm else vectors
