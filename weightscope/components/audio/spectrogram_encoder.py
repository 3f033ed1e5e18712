"""Swin over a spectrogram (HTS-AT, arXiv 2202.00874): it is folded into a square, so that it is one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.audio.spectrogram_patches import SpectrogramPatches
from weightscope.components.base import Component, Repeat
from weightscope.components.batch_norm import BatchNorm
from weightscope.components.norm import Norm
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.errors import UsageError
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch

FEATURES, LONGER = "input_features", "is_longer"


class SpectrogramEncoder(Component, frozen=True, kw_only=True):
    """A norm of each of `bins`, patches of a picture of `side` × `side`, stages, a norm; the mean is a clip's vector.

    A spectrogram has so many pictures as `pictures` says: one, or one of the whole and close-ups of it.
    """

    bin_norm: BatchNorm
    patches: SpectrogramPatches
    stages: tuple[Repeat, ...]
    final_norm: Norm
    bins: Size
    side: Size
    width: Size
    section: Section | None = Section.AUDIO

    @property
    def glance(self) -> str:
        return f"audio {len(self.stages)} stages to {self.width:,}, pictures of {self.side:,} × {self.side:,}"

    @property
    def folds(self) -> int:
        """How many strips of a spectrogram lie one above the other."""
        return int(self.side) // int(self.bins)

    @property
    def fused(self) -> bool:
        """Whether close-ups of longer clips are joined to the whole."""
        return self.patches.fusion is not None

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of what it takes."""
        return FEATURES, LONGER

    def equation(self, x: str = "spectrogram") -> str:
        return f"mean(stages({self.patches.equation(x)}))"

    def checked(self, inputs: Inputs) -> None:
        """Raise a UsageError where the inputs are no clip that the encoder takes."""
        if FEATURES not in inputs:
            raise UsageError(f"{FEATURES} is missing", hint="give the arrays of the model's processor")
        features, bins = inputs[FEATURES], int(self.bins)
        pictures = "whole and close-ups" if self.fused else str(int(self.patches.patches.inputs))
        fits = features.ndim == 4 and features.shape[3] == bins and features.numel() and features.is_floating_point()
        if not fits or (not self.fused and features.shape[1] != self.patches.patches.inputs):
            raise UsageError(
                f"{FEATURES} has shape {list(features.shape)}, not [1, {pictures}, frames, {bins}] (floats)"
            )
        if len(features) > 1:
            raise UsageError(f"{FEATURES}: give one clip only")
        most = int(self.side) * self.folds
        if features.shape[2] > most:
            raise UsageError(f"{FEATURES} has {features.shape[2]:,} frames; the encoder takes {most:,} at most")
        if self.fused and (LONGER not in inputs or inputs[LONGER].numel() != 1):
            raise UsageError(f"{LONGER} is missing, or has not one value", hint=f"{FEATURES} and {LONGER} go together")
        if self.fused and bool(inputs[LONGER].any()) and features.shape[1] < 2:
            raise UsageError(f"{LONGER} says that there are close-ups, and {FEATURES} has none")

    def heard(self, inputs: Inputs, at: At) -> torch.Tensor:
        """The vector [1, width] of the clip among the inputs."""
        at = at.apart(segments={}).labelled("audio")
        normed = at.call(self.bin_norm, inputs[FEATURES].transpose(1, 3)).transpose(1, 3)
        at.stage("normed spectrogram", self.bin_norm.equation("spectrogram"), normed[0].flatten(0, 1))
        longer = self.fused and bool(inputs[LONGER].any())
        hidden = self.patches.of(self._folded(normed), at.below(self.patches), longer=longer)
        at.stage("patch embedding", self.patches.equation(), hidden)
        for number, stage in enumerate(self.stages):
            hidden = stage.child.forward(hidden, at.below(stage, stage.indices[0]).labelled(f"audio stage {number}"))
        hidden = at.call(self.final_norm, hidden)
        at.stage("last norm", self.final_norm.equation(), hidden)
        return hidden.mean(0, keepdim=True)

    def _folded(self, x: torch.Tensor) -> torch.Tensor:
        """Spectrograms [1, C, frames, bins] as pictures [1, C, side, side]: strips of time one above the other."""
        import torch

        wide, high = int(self.side) * self.folds, int(self.side) // self.folds
        if x.shape[2:] != (wide, high):
            x = torch.nn.functional.interpolate(x, (wide, high), mode="bicubic", align_corners=True)
        strips = x.unflatten(2, (self.folds, -1)).transpose(3, 4)  # type: ignore[no-untyped-call]
        folded: torch.Tensor = strips.flatten(2, 3)
        return folded
