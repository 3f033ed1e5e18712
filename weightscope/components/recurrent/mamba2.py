"""Mamba-2's state space, in which all channels of a head fade alike (Dao & Gu 2024, arXiv 2405.21060)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Conflict
from weightscope.components.feed_forward.activations import activate
from weightscope.components.recurrent.convolution import convolve, kernel_shape
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.recurrence import decayed_attention
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

# The rows of `in_proj`, in order.
IN = (Role.Z_PROJ, Role.IN_PROJ, Role.B_PROJ, Role.C_PROJ, Role.DT_PROJ)


class Mamba2(Component, frozen=True, kw_only=True):
    """`heads` of `head_dim` channels, each with a state of `state` numbers a channel, written and read by `groups`.

    `steps` are the least and the greatest step. Without `norm` the gate alone multiplies what was read. `scales`
    multiply what `in_proj` makes of z, x, b, c and dt (Falcon-H1). `channels_last` is where the kernel's input channels
    must lie, None for either place. `inner` is what the class computes of its own; the heads must fill it.
    """

    name: str
    width: Size
    heads: Size
    head_dim: Size
    groups: Size
    state: Size
    kernel: Size
    activation: str
    norm: GatedRMSNorm | None
    bias: bool = False
    out_bias: bool = False
    kernel_bias: bool = True
    steps: tuple[float, float] = (0.0, float("inf"))
    scales: tuple[float, ...] = (1.0,) * len(IN)
    channels_last: bool | None = None
    inner: Size | None = None
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "mamba2"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear("in_proj", *IN, bias=self.bias),
            Kernel("conv1d", Role.CONVOLUTION, bias=self.kernel_bias, last=self.channels_last),
            Plain("", Role.DT_BIAS, leaf="dt_bias"),
            Plain("", Role.A_LOG, leaf="A_log"),
            Plain("", Role.D, leaf="D"),
            Linear("out_proj", Role.OUT_PROJ, bias=self.out_bias),
        )

    def sizes(self) -> Sizes:
        """The convolution runs over x, b and c side by side."""
        inner = self.heads * self.head_dim if self.inner is None else self.inner
        shared = self.groups * self.state
        return {
            Role.Z_PROJ: (inner, self.width),
            Role.IN_PROJ: (inner, self.width),
            Role.B_PROJ: (shared, self.width),
            Role.C_PROJ: (shared, self.width),
            Role.DT_PROJ: (self.heads, self.width),
            Role.CONVOLUTION: kernel_shape(inner + shared * 2, self.kernel),
            Role.DT_BIAS: (self.heads,),
            Role.A_LOG: (self.heads,),
            Role.D: (self.heads,),
            Role.OUT_PROJ: (self.width, inner),
        }

    def conflicts(self) -> Iterable[Conflict]:
        """Heads that are not as wide together as the class has it."""
        made = self.heads * self.head_dim
        if self.inner is not None and made != self.inner:
            what = f"{made.text} {made:,} is not {self.inner.text} {self.inner:,}"
            yield Conflict(what, (*made.keys, *self.inner.keys))

    @property
    def glance(self) -> str:
        return f"mamba2 {self.heads:,} heads of {self.head_dim:,}, state {self.state:,}"

    def mixes(self) -> tuple[Work, ...]:
        """The states are written and read."""
        return (Work(fixed=int(self.heads * self.head_dim * self.state * 2)),)

    def keeps(self) -> tuple[State, ...]:
        """The last inputs of the convolution over x, b and c, and the state of each head's channels."""
        return (
            convolution(self.sizes()[Role.CONVOLUTION][0], self.kernel),
            recurrence(self.heads, self.head_dim * self.state),
        )

    def equation(self, x: str = "x") -> str:
        gated = self.norm.equation("y") if self.norm else "y ⊙ silu(z)"
        return f"out_proj·({gated}),  y = scan(u) + D·u,  u = {self.activation}(conv(in_proj·{x}))"

    def terms(self) -> Mapping[Role, str]:
        low, high = self.steps
        bounds = f", between {low:g} and {high:g}" if self.steps != (0.0, float("inf")) else ""
        shared = f"in {int(self.groups)} groups of {int(self.state)}"
        times = {role: f"{scale:g}·" if scale != 1.0 else "" for role, scale in zip(IN, self.scales, strict=True)}
        return {
            Role.Z_PROJ: f"z = {times[Role.Z_PROJ]}z_proj·x",
            Role.IN_PROJ: f"u = {times[Role.IN_PROJ]}in_proj·x   {int(self.heads)} heads of {int(self.head_dim)}",
            Role.B_PROJ: f"b = {times[Role.B_PROJ]}b_proj·x   {shared}",
            Role.C_PROJ: f"c = {times[Role.C_PROJ]}c_proj·x   {shared}",
            Role.DT_PROJ: f"dt = softplus({times[Role.DT_PROJ]}dt_proj·x + dt_bias){bounds}   a step for each head",
            Role.CONVOLUTION: f"u, b, c = {self.activation}(conv(u, b, c)): each over {int(self.kernel)} tokens",
            Role.DT_BIAS: "added to each head's step before softplus",
            Role.A_LOG: "H = exp(−exp(A_log)·dt)·H + dt·b·uᵀ,  scan(u) = c·H",
            Role.D: "D·u skips the scan",
            Role.OUT_PROJ: "out_proj·(…)",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the scan is computed in float32 at least."""
        import torch

        weights = at.weights(self)
        wide = torch.promote_types(x.dtype, torch.float32)
        made = {role: linear(x, weights, role) * scale for role, scale in zip(IN, self.scales, strict=True)}
        z, u, b, c = made[Role.Z_PROJ], made[Role.IN_PROJ], made[Role.B_PROJ], made[Role.C_PROJ]
        widths = [u.shape[-1], b.shape[-1], c.shape[-1]]
        mixed = convolve(torch.cat((u, b, c), dim=-1), weights, self.activation).to(wide)
        u, b, c = torch.split(mixed, widths, dim=-1)
        dt = torch.nn.functional.softplus((made[Role.DT_PROJ] + weights[Role.DT_BIAS]).to(wide)).clamp(*self.steps)
        u = u.reshape(len(x), int(self.heads), -1).transpose(0, 1)
        b, c = (part.reshape(len(x), int(self.groups), -1).transpose(0, 1) for part in (b, c))
        step = dt.T
        decay = -weights[Role.A_LOG].to(wide).exp()[:, None] * step
        y = decayed_attention(c, b, u * step[..., None], decay) + weights[Role.D].to(wide)[:, None, None] * u
        y = y.transpose(0, 1).flatten(1)
        gated = self.norm.gated(y, z, at.below(self.norm)) if self.norm else y * activate("silu", z)
        return linear(gated.to(x.dtype), weights, Role.OUT_PROJ)
