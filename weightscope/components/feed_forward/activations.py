"""Activation functions under the names that configs give them (transformers' ACT2FN)."""

from __future__ import annotations

from collections.abc import Callable
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
    "relu2": "relu²",
    "gelu_python": "gelu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}


def activate(name: str, x: torch.Tensor) -> torch.Tensor:
    """The activation of that name.

    Raises:
        NotImplementedByWeightscope: an activation that is not here, by name.
    """
    import torch

    functional = torch.nn.functional
    computed: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "silu": functional.silu,
        "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "gelu": functional.gelu,
        "relu": functional.relu,
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "relu²": lambda x: functional.relu(x).square(),
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
    }
    word = WORDS.get(name)
    if word is None:
        raise NotImplementedByWeightscope(f"the activation {name!r} is not implemented")
    return computed[word](x)
