"""Heads of speech encoders: characters of each frame, classes of a clip or of each frame, quantized features.

Shapes: B clips, F frames, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.layer_sum import LayerSum
from weightscope.components.audio.speech_encoder import Heard
from weightscope.components.base import Component, Conflict
from weightscope.components.embedding import Classifier, Head
from weightscope.components.projection import Projection
from weightscope.components.running import At, linear
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class SpeechHead(Component, frozen=True, kw_only=True):
    """What is made of what an encoder heard."""

    scores_vocabulary: ClassVar[bool] = False

    def of(self, heard: Heard, at: At) -> torch.Tensor:
        """The output [N, …], clip after clip, as a stage of the pass."""
        raise NotImplementedError


class CharacterHead(SpeechHead, frozen=True, kw_only=True):
    """Scores of a vocabulary for each frame, one of them of no character (CTC, Graves et al. 2006)."""

    scores_vocabulary: ClassVar[bool] = True

    matrix: Head

    def equation(self, x: str = "x") -> str:
        return f"{self.matrix.equation(x)} + bias"

    def of(self, heard: Heard, at: At) -> torch.Tensor:
        """[B · F, vocabulary]."""
        scores = at.call(self.matrix, heard.frames.flatten(0, 1))
        at.stage("logits", self.equation(), scores)
        return scores


class SpeechClassifier(SpeechHead, frozen=True, kw_only=True):
    """Scores of classes: of each frame, or through a `projector` of the mean over a clip's frames."""

    mix: LayerSum | None
    projector: Projection | None
    classifier: Classifier

    def equation(self, x: str = "x") -> str:
        x = self.mix.equation(x) if self.mix else x
        return self.classifier.equation(f"mean({self.projector.equation(x)})" if self.projector else x)

    def of(self, heard: Heard, at: At) -> torch.Tensor:
        """[B, labels], or of each frame [B · F, labels]."""
        import torch

        hidden = at.call(self.mix, torch.stack(heard.layers)) if self.mix else heard.frames
        if self.projector:
            real = heard.real[..., None].to(hidden.dtype)
            hidden = (at.call(self.projector, hidden) * real).sum(1) / real.sum(1)
        scores = at.call(self.classifier, hidden.flatten(0, -2))
        at.stage("class scores", self.equation(), scores)
        return scores


class Quantizer(Component, frozen=True, kw_only=True):
    """The likeliest vector of each group's code book, side by side (arXiv 2006.11477, section 2)."""

    name: str
    inputs: Size
    groups: Size
    vectors: Size
    outputs: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Linear("weight_proj", Role.CODE_PROJ, bias=True), Plain("codevectors", Role.CODE_BOOK, leaf="")

    def sizes(self) -> Sizes:
        count = self.groups * self.vectors
        return {
            Role.CODE_PROJ: (count, self.inputs),
            Role.CODE_BOOK: (Size(1), count, self.outputs // self.groups),
        }

    def conflicts(self) -> Iterable[Conflict]:
        """Vectors that no number of groups shares equally."""
        if self.outputs % self.groups:
            yield Conflict(
                f"{self.outputs.text} {self.outputs:,} is not a multiple of {self.groups:,} {self.groups.text}",
                (*self.outputs.keys, *self.groups.keys),
            )

    def equation(self, x: str = "x") -> str:
        return f"code_book[argmax(code_proj·{x} + bias) of each group]"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.CODE_PROJ: f"scores of {self.vectors:,} vectors in each of {self.groups:,} groups",
            Role.CODE_BOOK: "the vector with the best score is taken from each group",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs] to [N, outputs]."""
        import torch

        weights, groups = at.weights(self), int(self.groups)
        best = linear(x, weights, Role.CODE_PROJ).reshape(len(x), groups, -1).argmax(-1)
        books = weights[Role.CODE_BOOK].reshape(groups, int(self.vectors), -1)
        return torch.cat([book[best[:, group]] for group, book in enumerate(books)], dim=-1)


class ContrastiveHead(SpeechHead, frozen=True, kw_only=True):
    """Frames, and what the quantizer makes of features, as vectors of one space (wav2vec 2.0's pre-training)."""

    project: Projection
    quantizer: Quantizer
    project_quantized: Projection
    section: Section | None = Section.HEAD

    def equation(self, x: str = "x") -> str:
        return f"{self.project.equation(x)} + bias"

    def of(self, heard: Heard, at: At) -> torch.Tensor:
        """The frames [B · F, size]; the quantized features are a stage."""
        codes = at.call(self.quantizer, heard.features.flatten(0, 1))
        quantized = at.call(self.project_quantized, codes)
        at.stage("quantized features", self.project_quantized.equation(self.quantizer.equation("features")), quantized)
        projected = at.call(self.project, heard.frames.flatten(0, 1))
        at.stage("projected frames", self.equation(), projected)
        return projected
