"""Speech encoders on bare samples (wav2vec 2.0, arXiv 2006.11477; HuBERT, arXiv 2106.07447; WavLM, arXiv 2110.13900).

Shapes: B clips, S samples, F frames, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from weightscope.brief import plural
from weightscope.components.audio.adapters import FrameAdapter
from weightscope.components.audio.positional_convolution import PositionalConvolution
from weightscope.components.audio.sample_convolutions import SampleConvolutions
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Heard(NamedTuple):
    """What an encoder makes of clips.

    `frames` [B, F, D] are what comes out, `features` [B, F, C] what entered the projection. Each entry of `layers`
    [B, F, D] is what entered the first layer or left a later one. `real` [B, F] is false where a clip is padding.
    """

    frames: torch.Tensor
    features: torch.Tensor
    layers: tuple[torch.Tensor, ...]
    real: torch.Tensor


class SpeechEncoder(Component, frozen=True, kw_only=True):
    """Convolutions over samples, a projection, positions, layers in which all frames of a clip see each other.

    `feature_norm` acts before the projection, `embedding_norm` before the first layer, `final_norm` after the last,
    then the `adapter`. With a `mask`, the file has a vector that stands for masked frames in training.
    """

    convolutions: SampleConvolutions
    feature_norm: Norm | None
    projection: Projection
    positions: PositionalConvolution
    embedding_norm: Norm | None
    blocks: tuple[Repeat, ...]
    final_norm: Norm | None
    adapter: FrameAdapter | None
    width: Size
    depth: int
    mask: bool
    section: Section | None = Section.AUDIO

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("masked_spec_embed", Role.MASK_EMBEDDING, leaf=""),) if self.mask else ()

    def sizes(self) -> Sizes:
        return {Role.MASK_EMBEDDING: (self.width,)}

    def terms(self) -> Mapping[Role, str]:
        return {Role.MASK_EMBEDDING: "stands for masked frames, in training alone"}

    @property
    def glance(self) -> str:
        layers = plural(self.depth, "layer")
        return f"audio {layers} of {self.width:,}, a frame for each {self.convolutions.step:,} samples"

    def equation(self, x: str = "samples") -> str:
        return (
            f"layers({self.projection.equation('features')} + positions),  features = {self.convolutions.equation(x)}"
        )

    def heard(self, samples: torch.Tensor, lengths: torch.Tensor | None, at: At) -> Heard:
        """Samples [B, S] to frames; of clips with padding, `lengths` [B] are their samples."""
        import torch

        features = at.call(self.convolutions, samples)
        at.stage("feature extraction", self.convolutions.equation(), features.flatten(0, 1))
        real = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        if lengths is not None:
            ends = torch.tensor([self.convolutions.frames(int(length)) for length in lengths], device=real.device)
            real = torch.arange(features.shape[1], device=real.device) < ends[:, None]
        features = at.call(self.feature_norm, features) if self.feature_norm else features
        hidden = at.call(self.projection, features)
        at.stage("feature projection", self.projection.equation("features"), hidden.flatten(0, 1))
        if lengths is not None:
            hidden = hidden * real[..., None]
        hidden = hidden + at.call(self.positions, hidden)
        at.stage("position embedding", f"x + {self.positions.equation()}", hidden.flatten(0, 1))
        if self.embedding_norm:
            hidden = at.call(self.embedding_norm, hidden)
            at.stage("embedding norm", self.embedding_norm.equation(), hidden.flatten(0, 1))
        layers = self._layers(hidden, real, at)
        frames = layers[-1]
        if self.final_norm:
            frames = at.call(self.final_norm, frames)
            at.stage("final norm", self.final_norm.equation(), frames.flatten(0, 1))
        if self.adapter:
            frames = at.call(self.adapter, frames)
            at.stage("frame adapter", self.adapter.equation(), frames.flatten(0, 1))
        return Heard(frames, features, layers, real)

    def _layers(self, hidden: torch.Tensor, real: torch.Tensor, at: At) -> tuple[torch.Tensor, ...]:
        """What enters the first layer [B, F, D], and what leaves each."""
        clips, frames = real.shape
        found = [hidden]
        within = at.apart(segments={"clip": [frames] * clips}, unseen=None if bool(real.all()) else ~real.flatten())
        run_layers(
            self.blocks,
            hidden.flatten(0, 1),
            within,
            last=at.run.last,
            tap=lambda _, out: found.append(out.unflatten(0, (clips, frames))),  # type: ignore[no-untyped-call]
        )
        return tuple(found)
