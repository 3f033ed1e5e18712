"""Small parts of what predicts masks: convolutions with a bias, MLPs of any depth, attention of one set to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.attend import attend
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.sees import EVERYTHING
from weightscope.components.base import Component, Repeat
from weightscope.components.feed_forward.activations import activate
from weightscope.components.projection import Projection
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Shrinking(Component, frozen=True, kw_only=True):
    """A convolution whose stride is its kernel: `side` × `side` places become one."""

    name: str
    inputs: Size
    outputs: Size
    side: int

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.CONVOLUTION, bias=True),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, Size(self.side), Size(self.side))}

    def equation(self, x: str = "x") -> str:
        return f"{self.name} ∗ {x} + bias"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"{self.equation()}   one place of {self.side} × {self.side}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[1, inputs, rows, columns] to [1, outputs, rows / side, columns / side]."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.CONVOLUTION], weights[f"{Role.CONVOLUTION}.bias"]
        return torch.nn.functional.conv2d(x, kernel, bias, stride=self.side)


class Growing(Component, frozen=True, kw_only=True):
    """A transposed convolution: one place becomes 2 × 2."""

    name: str
    inputs: Size
    outputs: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Plain("", Role.CONVOLUTION), Plain("", Role.FEATURE_BIAS, leaf="bias")

    def sizes(self) -> Sizes:
        """(inputs, outputs, 2, 2), as `torch.nn.ConvTranspose2d` has it."""
        return {
            Role.CONVOLUTION: (self.inputs, self.outputs, Size(2), Size(2)),
            Role.FEATURE_BIAS: (self.outputs,),
        }

    def equation(self, x: str = "x") -> str:
        return f"{self.name} ∗ᵀ {x} + feature_bias"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.CONVOLUTION: f"{self.equation()}   2 × 2 places of one",
            Role.FEATURE_BIAS: "feature_bias is added to each channel",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[1, inputs, rows, columns] to [1, outputs, 2 · rows, 2 · columns]."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.CONVOLUTION], weights[Role.FEATURE_BIAS]
        return torch.nn.functional.conv_transpose2d(x, kernel, bias, stride=2)


class DeepMLP(Component, frozen=True, kw_only=True):
    """Matrices one after another, each but the last followed by a ReLU; `between` are those that keep the width."""

    name: str
    first: Projection
    between: Repeat
    last: Projection

    def equation(self, x: str = "x") -> str:
        return f"{self.name or 'mlp'}({x})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs] to [N, outputs]."""
        x = activate("relu", at.call(self.first, x))
        for number in self.between.indices:
            x = activate("relu", self.between.child.forward(x, at.below(self.between, number)))
        return at.call(self.last, x)


class Looking(Component, frozen=True, kw_only=True):
    """o·softmax(q·kᵀ)·v, where queries, keys and values are each made of vectors of their own."""

    name: str
    width: Size
    heads: Heads

    @property
    def stored(self) -> Iterable[StorageItem]:
        names = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
        return tuple(Linear(name, role, bias=True) for name, role in names.items())

    def sizes(self) -> Sizes:
        inner = self.heads.count * self.heads.size
        return {
            **dict.fromkeys((Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), (inner, self.width)),
            Role.O_PROJ: (self.width, inner),
        }

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√{int(self.heads.size)})·v, q of {x}"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.heads.count)} heads of {int(self.heads.size)}"
        return {
            Role.Q_PROJ: f"q = q_proj·x   {heads}",
            Role.K_PROJ: f"k = k_proj·y   {heads}",
            Role.V_PROJ: f"v = v_proj·y   {heads}",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }

    def look(self, asks: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, at: At) -> torch.Tensor:
        """Queries of `asks` [N, width] over `keys` and `values` [M, width], to [N, width]."""
        weights = at.weights(self)
        q, k, v = (
            self.heads.split(linear(x, weights, role))
            for x, role in ((asks, Role.Q_PROJ), (keys, Role.K_PROJ), (values, Role.V_PROJ))
        )
        mixed = attend(q, k, v, scale=int(self.heads.size) ** -0.5, sees=EVERYTHING)
        return linear(mixed.transpose(0, 1).flatten(1), weights, Role.O_PROJ)
