"""Mamba's selective state space (Gu & Dao 2023, arXiv 2312.00752)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import activate
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.convolution import convolve, kernel_shape
from weightscope.components.recurrent.recurrence import selective_scan
from weightscope.components.running import At, linear
from weightscope.components.state import State, convolution, recurrence
from weightscope.components.work import Work
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Mamba(Component, frozen=True, kw_only=True):
    """Each of `inner` channels has a state of `state` numbers, moved by steps that the token chooses.

    The steps come from a vector of `rank` numbers. `activation` follows the convolution; the gate is always silu, as in
    the paper's code. `norms` act on that vector and on what is written to and read from
    the states, in this order (Jamba). `bias` is on the projections from and to the model's width.
    """

    name: str
    width: Size
    inner: Size
    state: Size
    rank: Size
    kernel: Size
    activation: str
    bias: bool = False
    kernel_bias: bool = True
    norms: tuple[RMSNorm, ...] = ()
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "mamba"

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Two vectors without a module among the projections; `A` lies there as the logarithm of its opposite."""
        return (
            Linear("in_proj", Role.IN_PROJ, Role.Z_PROJ, bias=self.bias),
            Kernel("conv1d", Role.CONVOLUTION, bias=self.kernel_bias),
            Linear("x_proj", Role.X_PROJ),
            Linear("dt_proj", Role.DT_PROJ, bias=True),
            Plain("", Role.A_LOG, leaf="A_log"),
            Plain("", Role.D, leaf="D"),
            Linear("out_proj", Role.OUT_PROJ, bias=self.bias),
        )

    def sizes(self) -> Sizes:
        """`x_proj` makes the small vector of the steps, then what is written and what is read."""
        return {
            Role.IN_PROJ: (self.inner, self.width),
            Role.Z_PROJ: (self.inner, self.width),
            Role.CONVOLUTION: kernel_shape(self.inner, self.kernel),
            Role.X_PROJ: (self.rank + self.state * 2, self.inner),
            Role.DT_PROJ: (self.inner, self.rank),
            Role.A_LOG: (self.inner, self.state),
            Role.D: (self.inner,),
            Role.OUT_PROJ: (self.width, self.inner),
        }

    @property
    def glance(self) -> str:
        return f"mamba {self.inner:,}, state {self.state:,}"

    def mixes(self) -> tuple[Work, ...]:
        """The states are written and read."""
        return (Work(fixed=int(self.inner * self.state * 2)),)

    def keeps(self) -> tuple[State, ...]:
        """The last inputs and the state of each channel."""
        return (convolution(self.inner, self.kernel), recurrence(self.inner, self.state))

    def equation(self, x: str = "x") -> str:
        return f"out_proj·((scan(u) + D ⊙ u) ⊙ silu(z)),  u = {self.activation}(conv(in_proj·{x}))"

    def terms(self) -> Mapping[Role, str]:
        normed = "norm({})" if self.norms else "{}"
        return {
            Role.IN_PROJ: f"in_proj·x   {int(self.inner)} channels",
            Role.Z_PROJ: "z = z_proj·x",
            Role.CONVOLUTION: f"u = {self.activation}(conv(in_proj·x)): each channel over {int(self.kernel)} tokens",
            Role.X_PROJ: f"[r | b | c] = x_proj·u   {normed.format('r')} is {int(self.rank)} numbers,"
            f" {normed.format('b')} and {normed.format('c')} are {int(self.state)}",
            Role.DT_PROJ: "dt = softplus(dt_proj·r + bias)   a step for each channel",
            Role.A_LOG: "h = exp(−exp(A_log)·dt) ⊙ h + dt·b·u,  scan(u) = c·h",
            Role.D: "D ⊙ u skips the scan",
            Role.OUT_PROJ: "out_proj·(…)",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the scan is computed in float32 at least."""
        import torch

        weights = at.weights(self)
        wide = torch.promote_types(x.dtype, torch.float32)
        u = convolve(linear(x, weights, Role.IN_PROJ), weights, self.activation)
        parts = torch.split(linear(u, weights, Role.X_PROJ), [int(self.rank), int(self.state), int(self.state)], dim=-1)
        if self.norms:
            parts = tuple(at.call(norm, part) for norm, part in zip(self.norms, parts, strict=True))
        dt = torch.nn.functional.softplus(linear(parts[0], weights, Role.DT_PROJ).to(wide))
        a = -weights[Role.A_LOG].to(wide).exp()
        scanned = selective_scan(u.to(wide), dt, a, parts[1].to(wide), parts[2].to(wide)).to(x.dtype)
        gate = activate("silu", linear(x, weights, Role.Z_PROJ))
        return linear((scanned + weights[Role.D] * u) * gate, weights, Role.OUT_PROJ)
