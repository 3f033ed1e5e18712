"""A text and a sound as vectors of one space, compared (CLAP, arXiv 2211.06687)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.audio.spectrogram_encoder import SpectrogramEncoder
from weightscope.components.base import Conflict, Group
from weightscope.components.encoder import EncoderModel
from weightscope.components.runnable import Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.projector import Projector
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class AudioContrast(Runnable, frozen=True, kw_only=True):
    """exp(logit_scale) · cos(text, sound): what a text's scores are scaled with, and apart from it a sound's.

    The vector of a text is what its pooler makes, that of a sound the mean of all patches, each through a projector;
    `hears` is the width of the latter. The tower lies within `ear`.
    """

    text: EncoderModel
    text_projection: Projector
    ear: Group
    audio_projection: Projector
    hears: Size

    @property
    def tower(self) -> SpectrogramEncoder:
        """What hears."""
        (tower,) = self.ear.parts
        assert isinstance(tower, SpectrogramEncoder)
        return tower

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("logit_scale_a", Role.AUDIO_LOGIT_SCALE, leaf="")
        yield Plain("logit_scale_t", Role.LOGIT_SCALE, leaf="")

    def sizes(self) -> Sizes:
        return {Role.AUDIO_LOGIT_SCALE: (), Role.LOGIT_SCALE: ()}

    @property
    def takes(self) -> tuple[str, ...]:
        return self.tower.takes

    @property
    def reader(self) -> Runnable:
        return self.text

    def conflicts(self) -> Iterable[Conflict]:
        """A projector of another width than the tower's."""
        if self.hears != self.tower.width:
            yield Conflict(
                f"the audio projection takes {self.hears:,} features ({self.hears.text}), but the tower puts out "
                f"{self.tower.width:,} ({self.tower.width.text})",
                (*self.hears.keys, *self.tower.width.keys),
            )

    def equation(self, x: str = "text") -> str:
        return f"exp(logit_scale) · ({x} / |{x}|)·(sound / |sound|)"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.LOGIT_SCALE: "exp(logit_scale) multiplies the cosine, of a text's scores",
            Role.AUDIO_LOGIT_SCALE: "exp(audio_logit_scale) multiplies the cosine, of a sound's scores",
        }

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        self.tower.checked(inputs)

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        return self.text.positions_of(tokens, inputs)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] and the pass's sound to a score [1, 1] of the text."""
        sound = self.tower.heard(at.run.inputs, at.below(self.ear).below(self.tower))
        sound = self.audio_projection.forward(sound, at.below(self.audio_projection).labelled("audio"))
        place, encoder = at.below(self.text), self.text.encoder
        hidden = encoder.forward(x, place.below(encoder))
        assert encoder.pooler
        pooled = place.below(encoder).call(encoder.pooler, hidden[:1])
        at.stage("pooled", encoder.pooler.equation(), pooled)
        text = self.text_projection.forward(pooled, at.below(self.text_projection).labelled("text"))
        weights = at.weights(self)
        text, sound = (vectors / vectors.norm(dim=-1, keepdim=True) for vectors in (text, sound))
        cosine = text @ sound.T
        of_sound = cosine.T * weights[Role.AUDIO_LOGIT_SCALE].exp()
        at.stage("similarity of the sound", self.equation().replace("logit_scale", "audio_logit_scale"), of_sound)
        scores: torch.Tensor = cosine * weights[Role.LOGIT_SCALE].exp()
        at.stage("similarity", self.equation(), scores)
        return scores
