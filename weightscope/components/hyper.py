"""Manifold-constrained hyper-connections (Xie et al. 2026, DeepSeek-V4): layers between several residual streams.

Shapes: T tokens, S streams, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.components.work import Work
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class HyperConnection(Component, frozen=True, kw_only=True):
    """How `streams` of `width` are read by a part of a layer, and how its output and they make new ones.

    m = stream_proj·(all streams side by side / rms). Of m · stream_scale + stream_bias, the first S numbers give each
    stream's share in the part's input, the next S that of the output in each new stream, and S² how old streams mix:
    a softmax made doubly stochastic by `iterations` of Sinkhorn and Knopp. One that is `last` only reads. `leaf` is
    what the names of the three tensors begin with.
    """

    name: str
    leaf: str
    width: Size
    streams: Size
    eps: float
    floor: float
    iterations: int = 0
    last: bool = False
    section: Section | None = Section.OTHER

    @property
    def stored(self) -> Iterable[StorageItem]:
        leaves = {"fn": Role.STREAM_PROJ, "base": Role.STREAM_BIAS, "scale": Role.STREAM_SCALE}
        return tuple(Plain("", role, leaf=f"{self.leaf}{leaf}") for leaf, role in leaves.items())

    def sizes(self) -> Sizes:
        count = self.streams if self.last else self.streams * (self.streams + 2)
        return {
            Role.STREAM_PROJ: (count, self.streams * self.width),
            Role.STREAM_BIAS: (count,),
            Role.STREAM_SCALE: (Size(1 if self.last else 3),),
        }

    def mixes(self) -> tuple[Work, ...]:
        """Each stream's share in the input; then its share of the output, and those of all old streams."""
        streams = int(self.streams)
        return (Work(fixed=int(self.width) * (streams if self.last else streams * (streams + 2))),)

    def equation(self, x: str = "x") -> str:
        return f"Σ share · stream of {int(self.streams)} streams {x}, shares = sigmoid(stream_proj·{x} / rms({x}))"

    def terms(self) -> Mapping[Role, str]:
        shares = "of each stream in the input" + ("" if self.last else ", of the output in each stream, and of a mix")
        return {
            Role.STREAM_PROJ: f"m = stream_proj·(streams / rms)   the shares {shares}",
            Role.STREAM_BIAS: "m · stream_scale + stream_bias",
            Role.STREAM_SCALE: "one number for each kind of share",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Streams [T, S, D] to the one [T, D] that a part reads."""
        return self.split(x, at)[0]

    def split(self, x: torch.Tensor, at: At) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What a part reads [T, D], the shares of its output [T, S], and how streams mix [T, S, S]."""
        import torch

        weights, count = at.weights(self), int(self.streams)
        flat = x.flatten(1)
        flat = flat * torch.rsqrt(flat.float().square().mean(-1, keepdim=True) + self.eps).to(x.dtype)
        kinds = [count] if self.last else [count, count, count * count]
        made = linear(flat, weights, Role.STREAM_PROJ).split(kinds, dim=-1)  # type: ignore[no-untyped-call]
        biases = weights[Role.STREAM_BIAS].split(kinds)  # type: ignore[no-untyped-call]
        scaled = [m * s + b for m, s, b in zip(made, weights[Role.STREAM_SCALE], biases, strict=True)]
        read = (torch.sigmoid(scaled[0]) + self.floor)[..., None] * x
        if self.last:
            return read.sum(1), read, read
        mix = scaled[2].unflatten(-1, (count, count)).softmax(-1) + self.floor
        mix = mix / (mix.sum(-2, keepdim=True) + self.floor)
        for _ in range(self.iterations - 1):
            mix = mix / (mix.sum(-1, keepdim=True) + self.floor)
            mix = mix / (mix.sum(-2, keepdim=True) + self.floor)
        return read.sum(1), 2 * torch.sigmoid(scaled[1]), mix


class IntoStreams(Component, frozen=True, kw_only=True):
    """All streams begin as the token's embedding."""

    streams: Size

    def equation(self, x: str = "x") -> str:
        return f"{int(self.streams)} streams, each {x}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, S, D]."""
        return x[:, None].expand(-1, int(self.streams), -1)


class HyperBlock(Component, frozen=True, kw_only=True):
    """Twice: part(norm(what the streams give)), then new streams = share · output + mixᵀ·streams."""

    attention_streams: HyperConnection
    input_norm: Norm
    attention: Component
    feed_forward_streams: HyperConnection
    feed_forward_norm: Norm
    feed_forward: Component

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, S, D] to the same."""
        halves = (
            (self.attention_streams, self.input_norm, self.attention),
            (self.feed_forward_streams, self.feed_forward_norm, self.feed_forward),
        )
        for streams, norm, part in halves:
            read, shares, mix = streams.split(x, at.below(streams))
            made = at.call(part, at.call(norm, read))
            x = shares[..., None] * made[:, None] + mix.transpose(-1, -2) @ x
            equation = f"share · {part.equation('n')} + mix·streams,  n = {norm.word}(streams read)"
            at.stage(part.word, equation, x.flatten(0, 1))
        return x
