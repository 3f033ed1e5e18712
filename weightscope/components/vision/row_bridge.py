"""Squares of patches through convolutions, with learned vectors behind each row and around an image (HunyuanOCR).

Source: `HunYuanVLVisionPatchMerger` of transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class SquareConvolution(Component, frozen=True, kw_only=True):
    """A convolution with a bias whose stride is its kernel: one vector of each `side` × `side` vectors."""

    name: str
    inputs: Size
    outputs: Size
    side: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.PROJECTOR, bias=True),)

    def sizes(self) -> Sizes:
        """(outputs, inputs, side, side), as `torch.nn.Conv2d` has it."""
        return {Role.PROJECTOR: (self.outputs, self.inputs, self.side, self.side)}

    def equation(self, x: str = "x") -> str:
        return f"({self.name} ∗ {x} + bias)"

    def terms(self) -> Mapping[Role, str]:
        one = f"   one vector of {int(self.side) ** 2}" if self.side > 1 else ""
        return {Role.PROJECTOR: f"{self.name} ∗ x + bias{one}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs], square by square, to [N / side², outputs]."""
        import torch

        weights, side = at.weights(self), int(self.side)
        squares = x.view(-1, side, side, x.shape[-1]).permute(0, 3, 1, 2)
        kernel, bias = weights[Role.PROJECTOR], weights[f"{Role.PROJECTOR}.bias"]
        return torch.nn.functional.conv2d(squares, kernel, bias, stride=side).flatten(1)


class ConvolvedSquares(Component, frozen=True, kw_only=True):
    """second ∗ activation(first ∗ norm(x))."""

    name: str
    norm: Norm
    first: SquareConvolution
    second: SquareConvolution
    activation: str
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        activation = WORDS.get(self.activation, self.activation)
        return self.second.equation(f"{activation}{self.first.equation(f'{self.norm.word}({x})')}")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width], square by square, to [N / side², outputs]."""
        return at.call(self.second, activate(self.activation, at.call(self.first, at.call(self.norm, x))))


class RowBridge(Component, frozen=True, kw_only=True):
    """A vector ends each row, a matrix brings all to the language model's width, and two stand around; then a norm."""

    name: str
    matrix: Projection
    norm: Norm
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Plain("image_newline", Role.IMAGE_NEWLINE, leaf=""),
            Plain("image_begin", Role.IMAGE_BEGIN, leaf=""),
            Plain("image_end", Role.IMAGE_END, leaf=""),
            Plain("image_sep", Role.IMAGE_SEPARATOR, leaf=""),
        )

    def sizes(self) -> Sizes:
        outside = dict.fromkeys((Role.IMAGE_BEGIN, Role.IMAGE_END, Role.IMAGE_SEPARATOR), (self.matrix.outputs,))
        return {Role.IMAGE_NEWLINE: (self.matrix.inputs,), **outside}

    def equation(self, x: str = "x") -> str:
        rows = self.matrix.equation(f"[rows of {x}, image_newline behind each]")
        return f"{self.norm.word}([image_begin | {rows} | image_end])"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.IMAGE_NEWLINE: "the vector behind each row of an image's vectors",
            Role.IMAGE_BEGIN: "the vector before an image's",
            Role.IMAGE_END: "the vector after an image's",
            Role.IMAGE_SEPARATOR: "not used",
        }

    def of(self, vectors: torch.Tensor, shapes: Sequence[tuple[int, int]], at: At) -> torch.Tensor:
        """Vectors [N, inputs] of images of so many rows and columns to those of the language model's width."""
        import torch

        weights = at.weights(self)
        newline, begin, end = (weights[role] for role in (Role.IMAGE_NEWLINE, Role.IMAGE_BEGIN, Role.IMAGE_END))
        found = []
        for (rows, columns), part in zip(shapes, vectors.split([r * c for r, c in shapes]), strict=True):  # type: ignore[no-untyped-call]
            ended = torch.cat((part.view(rows, columns, -1), newline.expand(rows, 1, -1)), dim=1).flatten(0, 1)
            found += [begin[None], at.call(self.matrix, ended), end[None]]
        made = at.call(self.norm, torch.cat(found))
        at.stage("projector", self.equation(), made)
        return made
