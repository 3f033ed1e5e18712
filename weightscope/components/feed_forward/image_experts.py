"""Two mixtures in a layer: one answers tokens of a text, the other those of images (ERNIE 4.5 VL, Baidu 2025)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.live import Live
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths
    from weightscope.components.state import State

# What a pass shares under this name: which of its tokens [T] are an image's.
IMAGE_TOKENS = "tokens of images"


class ImageExperts(MixtureOfExperts, frozen=True, kw_only=True):
    """A mixture of which a token of a text uses none."""

    @property
    def used(self) -> Size:
        return Size(0)

    @property
    def chosen_share(self) -> tuple[int, int]:
        return 0, 1

    def notes(self, roles: Iterable[Role]) -> Iterable[str]:
        if Role.ROUTER in roles:
            yield "Only tokens of images, and those around an image, have these experts."


class TextAndImageExperts(Component, frozen=True, kw_only=True):
    """shared(x) + text(x), or for tokens of images shared(x) + image(x).

    `corrections` names a table [2, experts] of what shifts the choices of both, where the mixtures have none.
    """

    name: str
    text: MixtureOfExperts
    image: ImageExperts
    shared: GatedMLP | None
    corrections: str | None = None
    section: Section | None = Section.MOE
    word: ClassVar[str] = "moe"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain(self.corrections, Role.ROUTER_BIAS, leaf=""),) if self.corrections else ()

    def sizes(self) -> Sizes:
        return {Role.ROUTER_BIAS: (Size(2), self.text.experts)} if self.corrections else {}

    @property
    def glance(self) -> str:
        return f"{self.text.glance}, and {self.image.experts:,} of {self.image.expert.inner:,} for images"

    def equation(self, x: str = "x") -> str:
        routed = f"({self.text.equation(x)}, or for tokens of images {self.image.equation(x)})"
        return f"shared({x}) + {routed}" if self.shared else routed

    def terms(self) -> Mapping[Role, str]:
        return {Role.ROUTER_BIAS: "added to the scores for the choice alone: a row for texts, and one for images"}

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What shared experts gave, and what either mixture has."""
        shared = int(self.text.width)
        found = (*self.text.live(widths), *self.image.live(widths))
        return tuple(Live(elements=shared + live.elements) for live in found)

    def keeps(self) -> tuple[State, ...]:
        """Nothing: it sees one token at a time."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, width] to [T, width]; without images the experts of images are not read."""
        import torch

        images = at.run.shared.get(IMAGE_TOKENS)
        table = at.weights(self)[Role.ROUTER_BIAS] if self.corrections else (None, None)
        out = at.call(self.shared, x) if self.shared else torch.zeros_like(x)
        if images is None:
            return out + self.text.corrected(x, at.below(self.text), table[0])
        for mixture, taken, correction in zip((self.text, self.image), (~images, images), table, strict=True):
            if bool(taken.any()):
                out[taken] += mixture.corrected(x[taken], at.below(mixture), correction)
        return out
