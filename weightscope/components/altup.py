"""Alternating updates (Baykal et al. 2023, arXiv 2301.13310) and LAuReL (arXiv 2411.07501), as in `Gemma3nTextConfig`.

Shapes: S streams, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block
from weightscope.components.layer_inputs import LayerInput
from weightscope.components.norm import RMSNorm
from weightscope.components.projection import Projection
from weightscope.components.running import At, linear
from weightscope.components.work import Work
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Streams(Component, frozen=True, kw_only=True):
    """One vector becomes several, or several one: all but the first are projected, and made as large as the first.

    `leaving` projects them back and takes the mean.
    """

    width: Size
    streams: Size
    leaving: bool = False

    @property
    def repeated(self) -> Repeat:
        """The projections under their numbers."""
        name, role = (
            ("altup_unembed_projections", Role.ALTUP_UNEMBED_PROJ)
            if self.leaving
            else ("altup_projections", Role.ALTUP_PROJ)
        )
        child = Projection(name="", inputs=self.width, outputs=self.width, bias=False, role=role)
        return Repeat(name=name, indices=range(self.streams - 1), child=child, of="part")

    def children(self) -> Iterable[Component]:
        return (self.repeated,)

    def equation(self, x: str = "x") -> str:
        if self.leaving:
            return f"mean over {int(self.streams)} streams of unembed·{x}, each as large as the first"
        return f"{int(self.streams)} streams: {x}, and altup_proj·{x} as large as {x}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [S, T, D], or back."""
        import torch

        first = x[0] if self.leaving else x
        size, streams = first.pow(2).mean(-1, keepdim=True).sqrt(), [first]
        for number in self.repeated.indices:
            place = at.below(self.repeated, number).below(self.repeated.child)
            made = self.repeated.child.forward(x[number + 1] if self.leaving else x, place)
            streams.append(made * size / made.pow(2).mean(-1, keepdim=True).clamp_min(1e-5).sqrt())
        out = torch.stack(streams)
        out = out.mean(0) if self.leaving else out
        at.stage("streams joined" if self.leaving else "streams", self.equation(), out.reshape(-1, out.shape[-1]))
        return out


class AltUp(Component, frozen=True, kw_only=True):
    """What the streams will be, predicted from the active one, and corrected by what a layer made of that one."""

    name: str
    width: Size
    streams: Size
    leading: int
    eps: float

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear("modality_router", Role.ALTUP_ROUTER),
            Linear("prediction_coefs", Role.ALTUP_PREDICTION),
            Linear("correction_coefs", Role.ALTUP_CORRECTION),
            Plain("", Role.ALTUP_SCALE, leaf="correct_output_scale"),
        )

    def sizes(self) -> Sizes:
        return {
            Role.ALTUP_ROUTER: (self.streams, self.width),
            Role.ALTUP_PREDICTION: (self.streams * self.streams, self.streams),
            Role.ALTUP_CORRECTION: (self.streams, self.streams),
            Role.ALTUP_SCALE: (self.width,),
        }

    @property
    def norm(self) -> RMSNorm:
        """Of what the router sees."""
        return RMSNorm(name="router_norm", role=Role.ALTUP_NORM, size=self.width, eps=self.eps)

    def children(self) -> Iterable[Component]:
        return (self.norm,)

    def mixes(self) -> tuple[Work, ...]:
        """Each stream is a sum of all of them, and the router sees a token twice."""
        return (Work(fixed=int(self.streams * self.width * (self.streams + 1))),)

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.ALTUP_ROUTER: "m = tanh(altup_router·norm(x) / width)   x is the active stream",
            Role.ALTUP_PREDICTION: "stream i is predicted as itself + Σ_j (altup_prediction·m)_ij · stream j",
            Role.ALTUP_CORRECTION: "and corrected by (1 + altup_correction·m)_i · (made − predicted)",
            Role.ALTUP_SCALE: "altup_scale ⊙ the active stream goes to the layer's input",
        }

    def predict(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[S, T, D] to the same."""
        weights = at.weights(self)
        mixing = linear(self._modes(x[self.leading], weights, at), weights, Role.ALTUP_PREDICTION)
        # Rows of the matrix are, target by target, the sources.
        mixing = mixing.reshape(len(mixing), len(x), len(x))
        return x + (mixing @ x.transpose(0, 1)).transpose(0, 1)

    def correct(self, predicted: torch.Tensor, made: torch.Tensor, at: At) -> torch.Tensor:
        """Predictions [S, T, D] by what the layer made [T, D] of the active one."""
        weights = at.weights(self)
        shares = linear(self._modes(made, weights, at), weights, Role.ALTUP_CORRECTION) + 1
        return predicted + shares.T[..., None] * (made - predicted[self.leading])

    def _modes(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], at: At) -> torch.Tensor:
        """[T, D] to [T, S]."""
        return linear(at.call(self.norm, x) / int(self.width), weights, Role.ALTUP_ROUTER).tanh()


class Laurel(Component, frozen=True, kw_only=True):
    """x + norm(right·left·x) through `rank` elements."""

    name: str
    width: Size
    rank: Size
    eps: float

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Linear("linear_left", Role.LAUREL_LEFT), Linear("linear_right", Role.LAUREL_RIGHT)

    def sizes(self) -> Sizes:
        return {Role.LAUREL_LEFT: (self.rank, self.width), Role.LAUREL_RIGHT: (self.width, self.rank)}

    @property
    def norm(self) -> RMSNorm:
        """Of what is added."""
        return RMSNorm(name="post_laurel_norm", role=Role.LAUREL_NORM, size=self.width, eps=self.eps)

    def children(self) -> Iterable[Component]:
        return (self.norm,)

    def equation(self, x: str = "x") -> str:
        return f"{x} + rms_norm(laurel_right·laurel_left·{x})"

    def terms(self) -> Mapping[Role, str]:
        return {Role.LAUREL_LEFT: "l = laurel_left·x", Role.LAUREL_RIGHT: "laurel_right·l"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        weights = at.weights(self)
        return x + at.call(self.norm, linear(linear(x, weights, Role.LAUREL_LEFT), weights, Role.LAUREL_RIGHT))


class AltUpBlock(Component, frozen=True, kw_only=True):
    """A layer of several streams: the active one goes through attention beside `laurel`, and through the MLP."""

    altup: AltUp
    laurel: Laurel
    block: Block
    layer_input: LayerInput
    scaled: bool = True

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[S, T, D] to the same."""
        altup, block = at.below(self.altup), self.block
        predicted = self.altup.predict(x, altup)
        active = predicted[self.altup.leading]
        normed = at.call(block.input_norm, active) if block.input_norm else active
        mixed = at.call(block.attention, normed)
        mixed = active + (at.call(block.attention_out_norm, mixed) if block.attention_out_norm else mixed)
        between = (mixed + at.call(self.laurel, normed)) / sqrt(2)
        at.stage("attention", f"(x + {block.attention.equation('n')} + {self.laurel.equation('n')}) / √2", between)
        fed = at.call(block.feed_forward_norm, between) if block.feed_forward_norm else between
        fed = at.call(block.feed_forward, fed)
        made = between + (at.call(block.feed_forward_out_norm, fed) if block.feed_forward_out_norm else fed)
        at.stage(block.feed_forward.word, f"x + {block.feed_forward.equation('n')}", made)
        streams = self.altup.correct(predicted, made, altup)
        first = streams[self.altup.leading]
        first = first * altup.weights(self.altup)[Role.ALTUP_SCALE] if self.scaled else first
        added = self.layer_input.added(first, at.below(self.layer_input))
        streams[1:] += added
        at.stage("streams", "altup's streams, and the layer's input in all but the first", streams.flatten(0, 1))
        return streams
