"""Normalization layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Repeat
from weightscope.components.live import Live
from weightscope.components.running import At
from weightscope.components.step import Moment
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths
    from weightscope.components.step import Step


class RMSNorm(Component, frozen=True, kw_only=True):
    """x / rms(x) · (offset + w), over the last dimension (Zhang & Sennrich 2019); Gemma's offset is 1.

    One that is not `weighted` only scales (the values of Gemma 3n); an `optional` one need not be stored. `leaf` is the
    name of w (Transformer Engine keeps it beside the next matrix). In transformers' module of a `wide` one w multiplies
    in float32, as it does where there is an offset.
    """

    name: str
    role: Role
    size: Size
    eps: float
    offset: float = 0.0
    weighted: bool = True
    optional: bool = False
    leaf: str = "weight"
    wide: bool = False
    word: ClassVar[str] = "rms_norm"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", self.role, optional=self.optional, leaf=self.leaf),) if self.weighted else ()

    def sizes(self) -> Sizes:
        return {self.role: (self.size,)} if self.weighted else {}

    def added_to(self, role: Role) -> float:
        return self.offset

    def equation(self, x: str = "x") -> str:
        return f"{x} / rms({x})" + (f" · {_factor(self.role, self.offset)}" if self.weighted else "")

    def terms(self) -> Mapping[Role, str]:
        return {self.role: f"{self.equation()}   rms(x) = √(mean(x²) + {self.eps:g})"} if self.weighted else {}

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What enters, in float32, and the same normed; what leaves beside both where the weight multiplies there."""
        leaves = 1 if self.wide and widths.float32 > 1 else 0
        return (Live(elements=int(self.size) * (2 * widths.float32 + leaves)),)

    def saves(self, step: Step) -> int:
        """What enters, in float32, and for the weight the same normed."""
        return int(self.size) * ((step.widths.float32 if step.flows else 0) + self._normed(step))

    def backward(self, step: Step) -> tuple[Moment, ...]:
        """Five gradients in float32, and that of what leaves, after what is kept for the weight was freed."""
        freed = min(self._normed(step), 1)
        return (Moment(elements=int(self.size) * (5 * step.widths.float32 + 1 - freed)),)

    def _normed(self, step: Step) -> int:
        """How many elements of each are kept for the weight's gradient."""
        if not self.weighted or not step.trains(self, self.role):
            return 0
        return step.widths.float32 if self.offset or self.wide else 1

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[…, size]; the mean of squares is taken in float32."""
        import torch

        weight = at.weights(self)[self.role] if self.weighted else None
        if weight is not None and self.offset:
            weight = self.offset + weight
        wide = x.float() if x.dtype is not torch.float64 else x
        scaled = (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)
        return scaled if weight is None else scaled.mul_(weight)


class LayerNorm(Component, frozen=True, kw_only=True):
    """(x - mean) / std · (offset + w) + b, over the last dimension (Ba et al. 2016); Nemotron's offset is 1.

    One that is not `weighted` has neither w nor b (OLMo). `heads` is how many vectors there are side by side, each
    with a weight of its own (Cohere's queries and keys). `leaves` are the names of w and b (TensorFlow's are gamma and
    beta). Of each element that enters, transformers' module makes `wide` of float32; 0 where torch's kernel does all.
    """

    name: str
    role: Role
    size: Size
    eps: float
    bias: bool = True
    weighted: bool = True
    offset: float = 0.0
    heads: Size | None = None
    leaves: tuple[str, str] = ("weight", "bias")
    wide: int = 0
    word: ClassVar[str] = "layer_norm"

    @property
    def stored(self) -> Iterable[StorageItem]:
        weight, bias = self.leaves
        return (Plain("", self.role, bias=self.bias, leaf=weight, bias_leaf=bias),) if self.weighted else ()

    def sizes(self) -> Sizes:
        if not self.weighted:
            return {}
        return {self.role: (self.size,) if self.heads is None else (self.heads, self.size)}

    def added_to(self, role: Role) -> float:
        return self.offset

    def equation(self, x: str = "x") -> str:
        scaled = f"({x} − mean({x})) / std({x})"
        if not self.weighted:
            return scaled
        return f"{scaled} · {_factor(self.role, self.offset)}" + (" + bias" if self.bias else "")

    def terms(self) -> Mapping[Role, str]:
        return {self.role: f"{self.equation()}   std(x) = √(var(x) + {self.eps:g})"} if self.weighted else {}

    def saves(self, step: Step) -> int:
        """What is made of what enters; where that is several vectors, one is for the weight."""
        if not step.leaves(self, self.role):
            return 0
        frozen = self.wide > 1 and not step.trains(self, self.role)
        return int(self.size) * (self._made(step.widths) - (step.widths.float32 if frozen else 0))

    def backward(self, step: Step) -> tuple[Moment, ...]:
        """The gradient of what leaves, and one of each that was made of what enters."""
        return (Moment(elements=int(self.size) * (self._made(step.widths) + 1)),)

    def _made(self, widths: Widths) -> int:
        """How many elements are made of each that enters."""
        return self.wide * widths.float32 if self.wide else 1

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[…, size]."""
        import torch

        weights = at.weights(self)
        weight, bias = weights.get(self.role), weights.get(f"{self.role}.bias")
        if weight is not None and self.offset:
            weight = self.offset + weight
        if self.heads is None:
            return torch.nn.functional.layer_norm(x, (int(self.size),), weight, bias, self.eps)
        scaled = torch.nn.functional.layer_norm(x, (int(self.size),), eps=self.eps)
        return scaled if weight is None else scaled * weight


class NumberedNorms(Component, frozen=True, kw_only=True):
    """A norm for each of `heads` vectors side by side, stored one by one (StableLM 2 12B)."""

    name: str
    role: Role
    heads: Size
    norm: LayerNorm

    @property
    def repeated(self) -> Repeat:
        """The norms under their numbers."""
        return Repeat(name="norms", indices=range(self.heads), child=self.norm, of="part")

    def children(self) -> Iterable[Component]:
        return (self.repeated,)

    @property
    def word(self) -> str:
        """The norm's."""
        return self.norm.word

    def equation(self, x: str = "x") -> str:
        return self.norm.equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, H, d] to the same."""
        import torch

        places = [at.below(self.repeated, head).below(self.norm) for head in range(self.heads)]
        parts = [self.norm.forward(part, place) for part, place in zip(x.unbind(1), places, strict=True)]
        return torch.stack(parts, dim=1)


def _factor(role: Role, offset: float) -> str:
    return f"({offset:g} + {role})" if offset else role


Norm = RMSNorm | LayerNorm


def live_in(norm: Norm | NumberedNorms | None, widths: Widths) -> int:
    """How many times what enters a norm lives in it, what enters left out unless it is converted."""
    if norm is None:
        return 0
    one = norm.norm if isinstance(norm, NumberedNorms) else norm
    return max((live.elements // max(int(one.size), 1) for live in one.live(widths)), default=1)
