"""Griffin's recurrent block with its real-gated linear recurrent unit (De et al. 2024, arXiv 2402.19427)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.recurrent.convolution import convolve, kernel_shape
from weightscope.components.recurrent.recurrence import fading_sum
from weightscope.components.running import At, linear
from weightscope.components.state import Fixed, State, recurrence
from weightscope.components.work import Work
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# The paper's constant c.
SHARPNESS = 8.0


class RecurrentUnit(Component, frozen=True, kw_only=True):
    """out(act(z) ⊙ h), where each of `inner` channels keeps of its state h what a gate leaves of its own rate.

    Gates see only the channels of their own of `heads` equal parts. At position 0 a sequence begins anew.
    """

    name: str
    width: Size
    inner: Size
    heads: Size
    kernel: Size
    activation: str
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "recurrence"

    @property
    def stored(self) -> Iterable[StorageItem]:
        """A gate is a matrix (in, out) and a vector for each head."""
        return (
            Linear("linear_y", Role.Z_PROJ, bias=True),
            Linear("linear_x", Role.IN_PROJ, bias=True),
            Kernel("conv_1d", Role.CONVOLUTION, bias=True),
            Plain("rg_lru", Role.INPUT_GATE, leaf="input_gate_weight"),
            Plain("rg_lru", Role.INPUT_GATE_BIAS, leaf="input_gate_bias"),
            Plain("rg_lru", Role.RECURRENT_GATE, leaf="recurrent_gate_weight"),
            Plain("rg_lru", Role.RECURRENT_GATE_BIAS, leaf="recurrent_gate_bias"),
            Plain("rg_lru", Role.RECURRENT_PARAM, leaf="recurrent_param"),
            Linear("linear_out", Role.OUT_PROJ, bias=True),
        )

    def sizes(self) -> Sizes:
        part = self.inner // self.heads
        return {
            Role.Z_PROJ: (self.inner, self.width),
            Role.IN_PROJ: (self.inner, self.width),
            Role.CONVOLUTION: kernel_shape(self.inner, self.kernel),
            Role.INPUT_GATE: (self.heads, part, part),
            Role.INPUT_GATE_BIAS: (self.heads, part),
            Role.RECURRENT_GATE: (self.heads, part, part),
            Role.RECURRENT_GATE_BIAS: (self.heads, part),
            Role.RECURRENT_PARAM: (self.inner,),
            Role.OUT_PROJ: (self.width, self.inner),
        }

    @property
    def glance(self) -> str:
        return f"recurrent unit {self.inner:,}"

    def mixes(self) -> tuple[Work, ...]:
        """Each channel's state fades and takes the input."""
        return (Work(fixed=int(self.inner)),)

    def keeps(self) -> tuple[State, ...]:
        """One input less than the kernel is wide, and each channel's state."""
        columns = Fixed(kind="convolution", entry=int(self.inner * (self.kernel - 1)), parts=int(self.inner))
        return (columns, recurrence(self.inner, 1))

    def equation(self, x: str = "x") -> str:
        activation = WORDS.get(self.activation, self.activation)
        return f"out_proj·({activation}(z_proj·{x}) ⊙ h),  h = a ⊙ h + √(1 − a²) ⊙ i ⊙ u,  u = conv(in_proj·{x})"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.heads)} parts of {int(self.inner // self.heads)}"
        return {
            Role.Z_PROJ: "z = z_proj·x + bias",
            Role.IN_PROJ: f"in_proj·x + bias   {int(self.inner)} channels",
            Role.CONVOLUTION: f"u = conv(in_proj·x): each channel over the last {int(self.kernel)} tokens",
            Role.INPUT_GATE: f"i = sigmoid(input_gate·u + input_gate_bias)   {heads}",
            Role.INPUT_GATE_BIAS: "added within i",
            Role.RECURRENT_GATE: f"r = sigmoid(recurrent_gate·u + recurrent_gate_bias)   {heads}",
            Role.RECURRENT_GATE_BIAS: "added within r",
            Role.RECURRENT_PARAM: f"a = exp(−{SHARPNESS:g}·r·softplus(recurrent_param))",
            Role.OUT_PROJ: "out_proj·(…) + bias",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the recurrence is computed in float32 at least."""
        import torch

        weights = at.weights(self)
        u = convolve(linear(x, weights, Role.IN_PROJ), weights)
        entering, leaving = (
            _by_head(u, weights[gate], weights[bias]).sigmoid()
            for gate, bias in (
                (Role.INPUT_GATE, Role.INPUT_GATE_BIAS),
                (Role.RECURRENT_GATE, Role.RECURRENT_GATE_BIAS),
            )
        )
        wide = torch.promote_types(x.dtype, torch.float32)
        rate = -SHARPNESS * torch.nn.functional.softplus(weights[Role.RECURRENT_PARAM].to(wide))
        log_kept = rate * leaving.to(wide)
        begins = (at.run.positions.reshape(-1, len(x))[0] == 0)[:, None]
        kept = log_kept.exp().masked_fill(begins, 0.0)
        share = (1 - (2 * log_kept).exp()).sqrt().masked_fill(begins, 1.0)
        h = fading_sum(kept, (u * entering).to(wide) * share).to(x.dtype)
        return linear(h * activate(self.activation, linear(x, weights, Role.Z_PROJ)), weights, Role.OUT_PROJ)


def _by_head(u: torch.Tensor, matrices: torch.Tensor, biases: torch.Tensor) -> torch.Tensor:
    """Each part of u [T, inner] by its matrix [heads, in, out], plus its bias [heads, out]."""
    import torch

    parts = u.reshape(len(u), len(matrices), -1).transpose(0, 1)
    return torch.baddbmm(biases[:, None], parts, matrices).transpose(0, 1).flatten(1)
