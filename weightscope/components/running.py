"""A component's place in a forward pass: where it reads its weights from, and in which type it computes.

Shapes below: T tokens, D width, H heads, d head_dim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.errors import NotImplementedByWeightscope
from weightscope.storage.base import Scope, join

if TYPE_CHECKING:
    import torch

    from weightscope.components.base import Component


class At(msgspec.Struct, frozen=True, kw_only=True):
    """The full module path of a component, and where tensors come from.

    Weights are read when a component is called and dropped when it returns, so a pass holds one component at a time
    and of a mixture's experts only those that were chosen.
    """

    scope: Scope
    dtype: torch.dtype
    prefix: str = ""

    def below(self, component: Component, number: int | None = None) -> At:
        """The place of a child, or of the numbered instance of a repeated one."""
        prefix = join(self.prefix, component.name)
        return At(scope=self.scope, dtype=self.dtype, prefix=prefix if number is None else f"{prefix}.{number}")

    def run(self, component: Component, x: torch.Tensor) -> torch.Tensor:
        """A child's forward pass."""
        return component.forward(x, self.below(component))

    def weights(self, component: Component, *, cast: bool = True) -> dict[str, torch.Tensor]:
        """The component's own matrices by role, (out, in), and biases by `role.bias`, in the compute type."""
        sizes = component.sizes()
        found: dict[str, torch.Tensor] = {}
        for item in component.stored:
            found |= item.read(self.prefix, sizes, self.scope)
        return {key: tensor.to(self.dtype) for key, tensor in found.items()} if cast else found


def linear(x: torch.Tensor, weights: dict[str, torch.Tensor], role: str) -> torch.Tensor:
    """X · Wᵀ + b."""
    import torch

    return torch.nn.functional.linear(x, weights[role], weights.get(f"{role}.bias"))


def activate(name: str, x: torch.Tensor) -> torch.Tensor:
    """The activation of that name, as transformers' ACT2FN spells them.

    Raises:
        NotImplementedByWeightscope: an activation that is not here, by name.
    """
    import torch

    functional = torch.nn.functional
    if name in ("silu", "swish"):
        return functional.silu(x)
    if name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh"):
        return functional.gelu(x, approximate="tanh")
    if name == "gelu":
        return functional.gelu(x)
    if name == "relu":
        return functional.relu(x)
    if name == "quick_gelu":
        return x * torch.sigmoid(1.702 * x)
    raise NotImplementedByWeightscope(f"the activation {name!r} is not implemented")


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float,
    causal: bool = True,
    window: int | None = None,
    softcap: float | None = None,
) -> torch.Tensor:
    """softmax(q·kᵀ · scale)·v for q [H, T, d] and k, v [kv heads, T, d]; heads share keys in consecutive groups."""
    import torch

    shared = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(shared, 0), v.repeat_interleave(shared, 0)
    scores = q @ k.transpose(1, 2) * scale
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    distance = torch.arange(q.shape[1])[:, None] - torch.arange(k.shape[1])[None, :]
    hidden = distance < 0 if causal else torch.zeros_like(distance, dtype=torch.bool)
    if window is not None:
        hidden |= distance >= window
    return torch.softmax(scores.masked_fill(hidden, float("-inf")), dim=-1) @ v
