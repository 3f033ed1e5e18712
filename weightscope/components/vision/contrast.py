"""Text and images as vectors of one space, compared (CLIP, arXiv 2103.00020; SigLIP, arXiv 2303.15343)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Conflict
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs, Runnable, refuse
from weightscope.components.running import At
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.naflex import NaflexEncoder
from weightscope.components.vision.text_vector import require_end, text_vector
from weightscope.errors import UsageError
from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Contrast(Runnable, frozen=True, kw_only=True):
    """exp(logit_scale) · cos(text, image) + logit_bias, of one text and each image.

    The vector of a text is that of its last token, or of the first token `end` (CLIP), through `text_projection`; that
    of an image what the tower pools, through `visual_projection` where there is one. The numbers are stored with the
    shape `number`.
    """

    text: CausalLM
    text_projection: Projection
    tower: VisionEncoder | NaflexEncoder
    visual_projection: Projection | None
    number: Shape
    biased: bool
    end: int | None
    usual: str
    refused: str = ""

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("logit_scale", Role.LOGIT_SCALE, leaf="")
        if self.biased:
            yield Plain("logit_bias", Role.LOGIT_BIAS, leaf="")

    def sizes(self) -> Sizes:
        return {Role.LOGIT_SCALE: self.number, Role.LOGIT_BIAS: self.number}

    @property
    def takes(self) -> tuple[str, ...]:
        return self.tower.takes

    @property
    def processor(self) -> str:
        return self.usual

    @property
    def reader(self) -> Runnable:
        return self.text

    def conflicts(self) -> Iterable[Conflict]:
        """Vectors of text and image that cannot be compared."""
        text = self.text_projection.outputs
        image = self.visual_projection.outputs if self.visual_projection else self.tower.patches.width
        if text != image:
            yield Conflict(
                f"a text's vector has {text:,} elements ({text.text}), but an image's has {image:,} ({image.text})",
                (*text.keys, *image.keys),
            )

    def equation(self, x: str = "text") -> str:
        bias = " + logit_bias" if self.biased else ""
        return f"exp(logit_scale) · ({x} / |{x}|)·(image / |image|){bias}"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.LOGIT_SCALE: "exp(logit_scale) multiplies the cosine of a text and an image",
            Role.LOGIT_BIAS: "logit_bias is added to it",
        }

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS not in inputs:
            raise UsageError("this model compares a text with images, and no image was given", hint="give --image FILE")
        self.tower.hold(inputs)
        require_end(self.end, tokens)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] and the pass's images to scores [1, images].

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        refuse(self.refused)
        images = self.tower.pool(at.run.inputs, at.below(self.tower))
        if self.visual_projection:
            images = at.call(self.visual_projection, images)
            at.stage("image vectors", self.visual_projection.equation("pooled"), images)
        text = text_vector(self.text, self.text_projection, self.end, x, at)
        weights = at.weights(self)
        text, images = (vectors / vectors.norm(dim=-1, keepdim=True) for vectors in (text, images))
        scores: torch.Tensor = text @ images.T * weights[Role.LOGIT_SCALE].exp()
        if self.biased:
            scores = scores + weights[Role.LOGIT_BIAS]
        at.stage("similarity", self.equation(), scores)
        return scores
