"""Activation functions under the names that configs give them (transformers' ACT2FN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import torch

# What each name computes, in the words of an equation.
WORDS = {
    "silu": "silu",
    "swish": "silu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "quick_gelu": "quick_gelu",
}


def activate(name: str, x: torch.Tensor) -> torch.Tensor:
    """The activation of that name.

    Raises:
        NotImplementedByWeightscope: an activation that is not here, by name.
    """
    import torch

    functional = torch.nn.functional
    word = WORDS.get(name)
    if word == "silu":
        return functional.silu(x)
    if word == "gelu_tanh":
        return functional.gelu(x, approximate="tanh")
    if word == "gelu":
        return functional.gelu(x)
    if word == "relu":
        return functional.relu(x)
    if word == "quick_gelu":
        return x * torch.sigmoid(1.702 * x)
    raise NotImplementedByWeightscope(f"the activation {name!r} is not implemented")
