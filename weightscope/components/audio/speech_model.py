"""A speech encoder and its head, run on ready samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weightscope.components.audio.speech_encoder import SpeechEncoder
from weightscope.components.audio.speech_heads import SpeechHead
from weightscope.components.runnable import Inputs, Predicts, Runnable
from weightscope.components.running import At
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

SAMPLES, MASK = "input_values", "attention_mask"


class SpeechModel(Runnable, frozen=True, kw_only=True):
    """Without a head the frames come out, clip after clip."""

    encoder: SpeechEncoder
    head: SpeechHead | None = None

    @property
    def takes_tokens(self) -> bool:
        return False

    @property
    def takes(self) -> tuple[str, ...]:
        return SAMPLES, MASK

    @property
    def layers(self) -> int:
        return self.encoder.depth

    @property
    def logits_of(self) -> Predicts:
        return "same" if self.head and self.head.scores_vocabulary else ""

    def completed(self, inputs: Mapping[str, Any], tokens: tuple[int, ...]) -> Mapping[str, Any]:
        """The same in a batch."""
        del tokens
        return {name: value[None] if value.ndim == 1 else value for name, value in inputs.items()}

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if SAMPLES not in inputs:
            raise UsageError(f"this model needs {SAMPLES}: the samples of a sound as its feature extractor makes them")
        samples, least = inputs[SAMPLES], self.encoder.convolutions.least
        if samples.ndim not in (1, 2) or not samples.numel():
            raise UsageError(f"{SAMPLES} has shape {list(samples.shape)}, not [clips, samples]")
        if samples.shape[-1] < least:
            raise UsageError(f"{SAMPLES} has {samples.shape[-1]:,} samples; the first frame takes {least:,}")
        if MASK in inputs:
            self._check_mask(inputs[MASK], samples, least)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's clips, what the head gives, or the frames [clips · frames, width]."""
        samples, mask = (at.run.inputs.get(name) for name in (SAMPLES, MASK))
        assert samples is not None
        samples = samples.to(at.run.dtype)
        lengths = None if mask is None else mask.reshape(-1, mask.shape[-1]).sum(-1).long()
        heard = self.encoder.heard(samples.reshape(-1, samples.shape[-1]), lengths, at.below(self.encoder))
        return self.head.of(heard, at.below(self.head)) if self.head else heard.frames.flatten(0, 1)

    @staticmethod
    def _check_mask(mask: torch.Tensor, samples: torch.Tensor, least: int) -> None:
        if mask.shape != samples.shape:
            raise UsageError(f"{MASK} has shape {list(mask.shape)}, but {SAMPLES} has {list(samples.shape)}")
        if not ((mask == 0) | (mask == 1)).all():
            raise UsageError(f"{MASK} has values other than 0 and 1")
        if (mask.long().diff(dim=-1) > 0).any():
            raise UsageError(f"{MASK} hides samples before others", hint="pad clips at their end")
        if int(mask.sum(-1).min()) < least:
            raise UsageError(f"{MASK} leaves fewer than {least:,} samples of a clip, which the first frame takes")
