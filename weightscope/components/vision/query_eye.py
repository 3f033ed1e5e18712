"""Eyes whose bridge is a Q-Former, which may get an instruction besides the image (InstructBLIP, arXiv 2305.06500)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.qformer import QFormer
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

WORDS = "qformer_input_ids"


class QueryEye(CropEye, frozen=True, kw_only=True):
    """A Q-Former is its bridge (BLIP-2)."""

    processor: ClassVar[str] = "BlipImageProcessor"


class InstructedEye(QueryEye, frozen=True, kw_only=True):
    """The instruction is written in ids of the Q-Former's own vocabulary, one row for each image."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, WORDS)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, WORDS)

    bridge: QFormer

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        words, images, table = inputs[WORDS], len(self.crops(inputs)), self.bridge.words
        if words.ndim != 2 or len(words) != images or not words.shape[1]:
            raise UsageError(f"{WORDS} has shape {list(words.shape)}, not [{images}, tokens]")
        if table and (int(words.min()) < 0 or int(words.max()) >= table.rows or words.shape[1] > table.positions):
            raise UsageError(
                f"{WORDS} are outside the Q-Former's table of {table.rows:,} tokens and {table.positions:,} positions"
            )
        return super().counts(inputs)

    def bridged(self, features: torch.Tensor, inputs: Inputs, at: At) -> torch.Tensor:
        return self.bridge.asked(features, inputs[WORDS].long(), at.below(self.bridge))
