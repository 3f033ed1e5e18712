"""DaViT's stages as a tower, and the bridge that makes a vector of each place and one of all (Florence-2).

Source: arXiv 2311.06242. Legend: N images, R rows, C columns, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.embedding import Embedding
from weightscope.components.norm import Norm
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At, linear
from weightscope.components.sense import Seen
from weightscope.components.vision.davit import ConvolutionEmbedding, raised
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.florence_tasks import question
from weightscope.errors import UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Buffer

if TYPE_CHECKING:
    import torch


class DavitStage(Component, frozen=True, kw_only=True):
    """An embedding, which lies beside the layers, then those."""

    enter: Repeat
    blocks: Repeat

    @property
    def embedding(self) -> ConvolutionEmbedding:
        """What acts before the layers."""
        assert isinstance(self.enter.child, ConvolutionEmbedding)
        return self.enter.child

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Maps [N, width before, R, C] to [N · rows · columns, width]."""
        (number,) = self.enter.indices
        x = self.embedding.forward(x, at.below(self.enter, number))
        at.stage(self.embedding.word, self.embedding.equation(), x)
        return run_layers((self.blocks,), x, at)


class Davit(Component, frozen=True, kw_only=True):
    """Stages, each with wider vectors than the one before it, and fewer."""

    name: str
    stages: tuple[DavitStage, ...]
    section: Section | None = Section.VISION

    @property
    def channels(self) -> Size:
        """Of an image."""
        return self.stages[0].embedding.inputs

    @property
    def width(self) -> Size:
        """Of the vectors that leave."""
        return self.stages[-1].embedding.outputs

    @property
    def glance(self) -> str:
        layers = "+".join(str(len(stage.blocks.indices)) for stage in self.stages)
        return f"vision {layers} layers from {self.stages[0].embedding.outputs:,}"

    def plane(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of what an image becomes."""
        for stage in self.stages:
            rows, columns = stage.embedding.side(rows), stage.embedding.side(columns)
        return rows, columns

    def features(self, pixels: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [N, channels, height, width] to [N, R, C, D]."""
        within = at.apart(segments={})
        x = pixels
        for number, stage in enumerate(self.stages):
            x = stage.forward(x, within.below(stage).labelled(f"vision stage {number}"))
            x = raised(x, within).movedim(-1, 1)
        return x.movedim(1, -1)


class Frames(Component, frozen=True, kw_only=True):
    """The first of a table of waves for frames, which an image has one of."""

    name: str
    rows: Size
    width: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Buffer("pos_idx_to_embed", Role.POSITION_EMBEDDING, (self.rows, self.width), optional=False),)

    def equation(self, x: str = "x") -> str:
        return f"{x} + waves[0]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.POSITION_EMBEDDING: "sines and cosines of a frame's number"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[…, width] to the same."""
        return x + at.weights(self)[Role.POSITION_EMBEDDING][0]


class PlacedBridge(Component, frozen=True, kw_only=True):
    """Features with positions by row and column, their mean before them, through a matrix and a norm."""

    name: str
    matrix: StorageItem
    inputs: Size
    outputs: Size
    rows: Embedding
    columns: Embedding
    frames: Frames
    norm: Norm
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (self.matrix,)

    def sizes(self) -> Sizes:
        return {Role.PROJECTOR: (self.outputs, self.inputs)}

    def equation(self, x: str = "x") -> str:
        return f"{self.norm.word}(projector·[mean(p) | p]),  p = {self.frames.equation(f'{x} + [column | row]')}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.PROJECTOR: "projector·[mean(p) | p]   p are the features at their places"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, R, C, D] to [N · (1 + R · C), outputs]."""
        import torch

        rows, columns = (
            at.call(table, torch.arange(count, device=x.device))
            for table, count in ((self.rows, x.shape[1]), (self.columns, x.shape[2]))
        )
        across, down = columns.expand(len(rows), -1, -1), rows[:, None].expand(-1, len(columns), -1)
        placed = at.call(self.frames, (x + torch.cat((across, down), dim=-1)).flatten(1, 2))
        whole = torch.cat((placed.mean(1, keepdim=True), placed), dim=1).flatten(0, 1)
        made = at.call(self.norm, linear(whole, at.weights(self), Role.PROJECTOR))
        at.stage("projector", self.equation(), made)
        return made


class DavitEye(Eye, frozen=True, kw_only=True):
    """Images may have any shape, as far as there are positions; all of a pass have the same.

    A text that is read ends with `end`.
    """

    processor: ClassVar[str] = "CLIPImageProcessor"

    tower: Davit
    bridge: PlacedBridge
    end: str

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        pixels, channels = inputs[PIXELS], int(self.tower.channels)
        if pixels.ndim != 4 or pixels.shape[1] != channels or not len(pixels):
            raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, not [images, {channels}, height, width]")
        height, width = pixels.shape[2:]
        rows, columns = self.tower.plane(height, width)
        if min(rows, columns) < 1:
            raise UsageError(f"images of {height:,} × {width:,} pixels are too small")
        if rows > self.bridge.rows.rows or columns > self.bridge.columns.rows:
            most = f"{self.bridge.rows.rows:,} rows and {self.bridge.columns.rows:,} columns"
            raise UsageError(f"images of {height:,} × {width:,} pixels are too large: there are {most}")
        return (1 + rows * columns,) * len(pixels)

    def finished(self, text: str) -> str:
        """With a task's question in its place."""
        return question(text, self.end)

    def see(self, inputs: Inputs, at: At) -> Seen:
        features = self.tower.features(inputs[PIXELS], at.below(self.tower))
        return Seen(at.call(self.bridge, features))
