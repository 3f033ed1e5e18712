"""A vision-language model with a LoRA for images and one for speech inside (Phi-4-multimodal, arXiv 2503.01743)."""

from __future__ import annotations

from weightscope.components.inner_adapters import InnerAdapter
from weightscope.components.runnable import Inputs
from weightscope.components.sense import whole_numbers
from weightscope.components.vision.language import VisionLanguage
from weightscope.errors import UsageError

MODE = "input_mode"
# What Microsoft's processor calls a prompt with such inputs: text alone, images, speech, both.
MODES = {(False, False): 0, (True, False): 1, (False, True): 2, (True, True): 3}


class LoraLanguage(VisionLanguage, frozen=True, kw_only=True):
    """With an image the language model is the one with `looking` added, with speech alone `listening`, else neither."""

    looking: InnerAdapter
    listening: InnerAdapter

    @property
    def takes(self) -> tuple[str, ...]:
        return (*super().takes, MODE)

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        told, found = inputs.get(MODE), MODES[self._sensed(inputs)]
        if told is not None and whole_numbers(inputs, MODE) != [found]:
            raise UsageError(
                f"{MODE} is {told.flatten().tolist()!r:.40}, and the inputs that are given make it {found}"
            )

    def inner_adapter(self, task: str, inputs: Inputs) -> InnerAdapter | None:
        super().inner_adapter(task, inputs)
        sees, hears = self._sensed(inputs)
        return self.looking if sees else self.listening if hears else None

    def _sensed(self, inputs: Inputs) -> tuple[bool, bool]:
        """Whether there are images, and whether there is speech."""
        assert self.ear is not None
        return self.eye.given(inputs), self.ear.given(inputs)
