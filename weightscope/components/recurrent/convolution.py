"""Short causal convolutions along the sequence, one kernel a channel, and the mixer that LFM2 makes of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import activate
from weightscope.components.live import Live
from weightscope.components.running import At, linear
from weightscope.components.state import State, convolution
from weightscope.components.step import Moment
from weightscope.roles import Role, Section
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths
    from weightscope.components.step import Step

# What makes all that is multiplied and convolved.
INPUTS = (Role.B_PROJ, Role.C_PROJ, Role.IN_PROJ)


def kernel_shape(channels: Size, width: Size) -> Shape:
    """The shape of `torch.nn.Conv1d`'s weight where each channel has a group of its own."""
    return channels, Size(1), width


def convolve(x: torch.Tensor, weights: Mapping[str, torch.Tensor], activation: str | None = None) -> torch.Tensor:
    """X [T, C] with each channel summed over the last tokens by its kernel [C, 1, K], then activated.

    Kernels may be so many times as many as channels: those of a channel lie one after another.
    """
    import torch

    kernel = weights[Role.CONVOLUTION]
    padded = torch.nn.functional.pad(x.T[None], (kernel.shape[-1] - 1, 0))
    mixed = torch.nn.functional.conv1d(padded, kernel, weights.get(f"{Role.CONVOLUTION}.bias"), groups=x.shape[-1])
    out = mixed[0].T
    return out if activation is None else activate(activation, out)


class ShortConvolution(Component, frozen=True, kw_only=True):
    """out(c ⊙ conv(b ⊙ x)), where b, c and x are all projected from the input (LFM2, arXiv 2511.23404)."""

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    kernel: Size
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "convolution"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        square = (self.width, self.width)
        return {
            Role.B_PROJ: square,
            Role.C_PROJ: square,
            Role.IN_PROJ: square,
            Role.CONVOLUTION: kernel_shape(self.width, self.kernel),
            Role.OUT_PROJ: square,
        }

    @property
    def glance(self) -> str:
        return f"convolution of {self.kernel:,}"

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """The three projections, what is convolved, the same in another order, and twice what comes out."""
        del widths
        return (Live(elements=int(self.width) * 7),)

    def saves(self, step: Step) -> int:
        """What enters, the three projections, what is convolved, what comes out, and what enters out_proj."""
        mixed = 5 * int(self.width) if step.leaves(self, *INPUTS, Role.CONVOLUTION) else 0
        return step.kept_before(self, *INPUTS) + mixed + step.kept_before(self, Role.OUT_PROJ)

    def saves_input(self, step: Step) -> int:
        return step.input_of(self, *INPUTS)

    def backward(self, step: Step) -> tuple[Moment, ...]:
        """The gradients of the product and of both that it is of; what out_proj kept is free by then."""
        return (Moment(elements=3 * int(self.width) - step.kept_before(self, Role.OUT_PROJ)),)

    def keeps(self) -> tuple[State, ...]:
        """The last inputs of each channel."""
        return (convolution(self.width, self.kernel),)

    def equation(self, x: str = "x") -> str:
        return f"out_proj·(c_proj·{x} ⊙ conv(b_proj·{x} ⊙ in_proj·{x}))"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.B_PROJ: "b = b_proj·x",
            Role.C_PROJ: "c = c_proj·x",
            Role.IN_PROJ: "u = in_proj·x",
            Role.CONVOLUTION: f"v = conv(b ⊙ u): each channel over the last {int(self.kernel)} tokens",
            Role.OUT_PROJ: "out_proj·(c ⊙ v)",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        weights = at.weights(self)
        b, c, u = (linear(x, weights, role) for role in (Role.B_PROJ, Role.C_PROJ, Role.IN_PROJ))
        return linear(c * convolve(b * u, weights), weights, Role.OUT_PROJ)
