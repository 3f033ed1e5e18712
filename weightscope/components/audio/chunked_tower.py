"""Encoders of speech that cut a spectrogram into chunks before they convolve it (Qwen2.5-Omni, arXiv 2503.20215)."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component, Repeat
from weightscope.components.norm import Norm
from weightscope.roles import Section
from weightscope.sizes import Size


class ChunkedTower(Component, frozen=True, kw_only=True):
    """Convolutions over chunks of `chunk` frames of `bins` numbers, layers, a norm, then matrices (`bridge`).

    `marks` are vectors that stand around a clip and are not used.
    """

    name: str
    bins: Size
    chunk: Size
    width: Size
    convolutions: tuple[Component, ...]
    blocks: tuple[Repeat, ...]
    depth: int
    final_norm: Norm
    bridge: tuple[Component, ...]
    marks: Component | None = None
    section: Section | None = Section.AUDIO

    @property
    def glance(self) -> str:
        return f"audio {self.depth} layers of {self.width:,}, chunks of {self.chunk:,} frames of {self.bins:,}"

    def children(self) -> Iterable[Component]:
        marks = (self.marks,) if self.marks else ()
        return *self.convolutions, *self.blocks, self.final_norm, *self.bridge, *marks

    def equation(self, x: str = "spectrogram") -> str:
        return f"layers(convolutions({x}))"
