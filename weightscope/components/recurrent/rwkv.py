"""RWKV-4 (Peng et al. 2023, arXiv 2305.13048): two halves of a layer, each mixing a token with the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.recurrent.recurrence import fading_mean
from weightscope.components.running import At, linear
from weightscope.components.state import Fixed, State, recurrence
from weightscope.components.work import Work
from weightscope.roles import Role, Section
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

MIXED = "μ·x + (1 − μ)·x₋₁"


def _share(width: Size) -> Shape:
    return Size(1), Size(1), width


def _mix(x: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """X [T, D] with each token a mean of itself and the one before it; before the first there is nothing."""
    import torch

    before = torch.nn.functional.pad(x, (0, 0, 1, -1))
    return x * share.flatten() + before * (1 - share.flatten())


class TimeMix(Component, frozen=True, kw_only=True):
    """out(sigmoid(r) ⊙ mean), the mean of the values so far, weighted by exp(key) and fading."""

    name: str
    width: Size
    inner: Size
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "time_mix"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Plain("", Role.TIME_DECAY, leaf="time_decay"),
            Plain("", Role.TIME_FIRST, leaf="time_first"),
            Plain("", Role.TIME_MIX_KEY, leaf="time_mix_key"),
            Plain("", Role.TIME_MIX_VALUE, leaf="time_mix_value"),
            Plain("", Role.TIME_MIX_RECEPTANCE, leaf="time_mix_receptance"),
            Linear("key", Role.K_PROJ),
            Linear("value", Role.V_PROJ),
            Linear("receptance", Role.RECEPTANCE),
            Linear("output", Role.OUT_PROJ),
        )

    def sizes(self) -> Sizes:
        shares = (Role.TIME_MIX_KEY, Role.TIME_MIX_VALUE, Role.TIME_MIX_RECEPTANCE)
        return {
            Role.TIME_DECAY: (self.inner,),
            Role.TIME_FIRST: (self.inner,),
            **dict.fromkeys(shares, _share(self.width)),
            **dict.fromkeys((Role.K_PROJ, Role.V_PROJ, Role.RECEPTANCE), (self.inner, self.width)),
            Role.OUT_PROJ: (self.width, self.inner),
        }

    @property
    def glance(self) -> str:
        return f"time mix {self.inner:,}"

    def mixes(self) -> tuple[Work, ...]:
        """The two sums of each channel fade and take the token."""
        return (Work(fixed=int(self.inner * 2)),)

    def keeps(self) -> tuple[State, ...]:
        """The token before, and of each channel the sum, its weight and the largest exponent."""
        return (Fixed(kind="token_shift", entry=int(self.width)), recurrence(self.inner, 3))

    def equation(self, x: str = "x") -> str:
        return "out_proj·(sigmoid(r) ⊙ Σ w·v / Σ w)"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.TIME_DECAY: "w = exp(k − exp(time_decay)·(tokens since)) of earlier tokens",
            Role.TIME_FIRST: "w = exp(k + time_first) of the token itself",
            Role.TIME_MIX_KEY: f"μ of k: {MIXED}",
            Role.TIME_MIX_VALUE: f"μ of v: {MIXED}",
            Role.TIME_MIX_RECEPTANCE: f"μ of r: {MIXED}",
            Role.K_PROJ: f"k = k_proj·({MIXED})",
            Role.V_PROJ: f"v = v_proj·({MIXED})",
            Role.RECEPTANCE: f"r = receptance·({MIXED})",
            Role.OUT_PROJ: "out_proj·(…)",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the mean is computed in float32 at least."""
        import torch

        weights = at.weights(self)
        wide = torch.promote_types(x.dtype, torch.float32)
        k, v, r = (
            linear(_mix(x, weights[share]), weights, role)
            for share, role in (
                (Role.TIME_MIX_KEY, Role.K_PROJ),
                (Role.TIME_MIX_VALUE, Role.V_PROJ),
                (Role.TIME_MIX_RECEPTANCE, Role.RECEPTANCE),
            )
        )
        decay = -weights[Role.TIME_DECAY].to(wide).exp()
        mean = fading_mean(decay, weights[Role.TIME_FIRST].to(wide), k.to(wide), v.to(wide)).to(x.dtype)
        return linear(r.sigmoid() * mean, weights, Role.OUT_PROJ)


class ChannelMix(Component, frozen=True, kw_only=True):
    """sigmoid(r) ⊙ down(relu(up)²)."""

    name: str
    width: Size
    inner: Size
    section: Section | None = Section.MLP
    word: ClassVar[str] = "channel_mix"

    @property
    def stored(self) -> Iterable[StorageItem]:
        """RWKV calls what widens key and what narrows value."""
        return (
            Plain("", Role.TIME_MIX_KEY, leaf="time_mix_key"),
            Plain("", Role.TIME_MIX_RECEPTANCE, leaf="time_mix_receptance"),
            Linear("key", Role.UP_PROJ),
            Linear("receptance", Role.RECEPTANCE),
            Linear("value", Role.DOWN_PROJ),
        )

    def sizes(self) -> Sizes:
        return {
            Role.TIME_MIX_KEY: _share(self.width),
            Role.TIME_MIX_RECEPTANCE: _share(self.width),
            Role.UP_PROJ: (self.inner, self.width),
            Role.RECEPTANCE: (self.width, self.width),
            Role.DOWN_PROJ: (self.width, self.inner),
        }

    @property
    def glance(self) -> str:
        return f"channel mix {self.inner:,}"

    def keeps(self) -> tuple[State, ...]:
        """The token before."""
        return (Fixed(kind="token_shift", entry=int(self.width)),)

    def equation(self, x: str = "x") -> str:
        return "sigmoid(r) ⊙ down_proj·relu(u)²"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.TIME_MIX_KEY: f"μ of u: {MIXED}",
            Role.TIME_MIX_RECEPTANCE: f"μ of r: {MIXED}",
            Role.UP_PROJ: f"u = up_proj·({MIXED})",
            Role.RECEPTANCE: f"r = receptance·({MIXED})",
            Role.DOWN_PROJ: "down_proj·relu(u)²",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        weights = at.weights(self)
        up = linear(_mix(x, weights[Role.TIME_MIX_KEY]), weights, Role.UP_PROJ).relu().square()
        gate = linear(_mix(x, weights[Role.TIME_MIX_RECEPTANCE]), weights, Role.RECEPTANCE).sigmoid()
        return gate * linear(up, weights, Role.DOWN_PROJ)
