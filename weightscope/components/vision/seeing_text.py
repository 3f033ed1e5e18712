"""Text whose every layer looks at an image: it writes about it, is matched with it, or asks about it (BLIP).

Source: arXiv 2201.12086.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.encoder import EncoderModel
from weightscope.components.halves import SOURCE
from weightscope.components.runnable import PIXELS, Inputs, Predicts, Runnable
from weightscope.components.running import At
from weightscope.components.seq2seq import DECODER_TOKENS, hold_written, looking
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class SeeingText(Runnable, frozen=True, kw_only=True):
    """What `text` makes of the tokens, its layers looking at the tower's features through the last norm.

    Without an image a text that is written looks at nothing.
    """

    tower: VisionEncoder
    text: EncoderModel

    @property
    def takes(self) -> tuple[str, ...]:
        return self.tower.takes

    @property
    def processor(self) -> str:
        return "BlipImageProcessor"

    @property
    def reader(self) -> Runnable:
        return self.text

    @property
    def logits_of(self) -> Predicts:
        return self.text.logits_of

    @property
    def writer(self) -> Component | None:
        return self.text.writer

    def looks_at(self, context: int) -> int:
        """The vectors of one image."""
        return int(self.tower.patches.positions)

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS in inputs:
            self.tower.checked({PIXELS: inputs[PIXELS]}, ())
        elif self.writer is None:
            raise no_image("matches a text with an image")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary], or to scores [1, 2]: that the text does not match, and that it does."""
        if PIXELS in at.run.inputs:
            at.run.shared[SOURCE] = seen(self.tower, at)
        return self.text.forward(x, at.below(self.text))


class AskedImage(SeeingText, frozen=True, kw_only=True):
    """`text` reads a question and looks at the image; `answer` looks at what that makes, and begins with `start`."""

    answer: EncoderModel
    start: int

    def children(self) -> Iterable[Component]:
        # The head is tied to the answer's table, so that is the model's first.
        return self.tower, self.answer, self.text

    @property
    def takes(self) -> tuple[str, ...]:
        return (*super().takes, DECODER_TOKENS)

    @property
    def logits_of(self) -> Predicts:
        return self.answer.logits_of

    @property
    def writer(self) -> Component | None:
        return self.answer.writer

    @property
    def decoder_start(self) -> int | None:
        return self.start

    def looks_at(self, context: int) -> int:
        """As many as a question as long as the answer."""
        return context

    def scored(self, tokens: tuple[int, ...], inputs: Inputs) -> tuple[int, ...]:
        """The answer's tokens."""
        return tuple(inputs[DECODER_TOKENS].flatten().tolist()) if DECODER_TOKENS in inputs else (self.start,)

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS not in inputs:
            raise no_image("answers questions about an image")
        hold_written(self.scored(tokens, inputs), self.answer.words, self.answer.learned)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] of a question to logits [T', vocabulary] of the answer's tokens."""
        import torch

        asked = super().forward(x, at.apart(segments={}).labelled("question"))
        ids = torch.tensor(self.scored((), at.run.inputs), device=x.device)
        writing = looking(at, asked, torch.arange(len(ids), device=x.device))
        return self.answer.forward(ids, writing.below(self.answer))


def seen(tower: VisionEncoder, at: At) -> torch.Tensor:
    """The features [positions, width] of the pass's image, the class vector among them."""
    (features,) = tower.features(tower.pixels(at.run.inputs), at.below(tower), (-1,), normed=True)
    return features


def no_image(does: str) -> UsageError:
    """Tokens alone for a model that cannot do without an image."""
    return UsageError(f"this model {does}, and no image was given", hint="give --image FILE")
