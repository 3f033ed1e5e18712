"""Learned vectors that gather what an image shows (Flamingo, arXiv 2204.14198): names, shapes and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weightscope.components.base import Component, Repeat
from weightscope.components.norm import Norm
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain


class Latents(Component, frozen=True, kw_only=True):
    """`count` learned latents through the layers and a norm; each image has its own."""

    name: str
    count: Size
    width: Size
    layers: Repeat
    norm: Norm

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("latents", Role.PROBE, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.PROBE: (self.count, self.width)}

    def equation(self, x: str = "x") -> str:
        return f"{self.norm.word}(latents after {len(self.layers.indices)} layers over {x})"

    def terms(self) -> Mapping[Role, str]:
        return {Role.PROBE: "the latents: what each image's vectors start from"}
