"""xIELU (Huang & Schlag 2024, arXiv 2411.13010): an activation with learned slopes. Config: `ApertusConfig`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch


class XIELU(Component, frozen=True, kw_only=True):
    """p·x² + β·x above zero, n·(exp(min(x, ε)) − 1 − x) + β·x below, where p = softplus(α_p), n = β + softplus(α_n)."""

    name: str
    word: ClassVar[str] = "xielu"

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Two learned numbers, and two that are fixed and yet stored."""
        return (
            Plain("", Role.ALPHA_P, leaf="alpha_p", number=True),
            Plain("", Role.ALPHA_N, leaf="alpha_n", number=True),
            Buffer("beta", Role.BETA, (), optional=False),
            Buffer("eps", Role.EPSILON, (), optional=False),
        )

    def sizes(self) -> Sizes:
        return {Role.ALPHA_P: (Size(1),), Role.ALPHA_N: (Size(1),)}

    def equation(self, x: str = "x") -> str:
        return f"{x} > 0 ? p·{x}² + beta·{x} : n·(exp(min({x}, epsilon)) − 1 − {x}) + beta·{x}"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.ALPHA_P: "p = softplus(alpha_p)",
            Role.ALPHA_N: "n = beta + softplus(alpha_n)",
            Role.BETA: "beta, the slope at zero",
            Role.EPSILON: "epsilon, just below zero",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of each element."""
        import torch

        weights = at.weights(self)
        beta, softplus = weights[Role.BETA], torch.nn.functional.softplus
        above = softplus(weights[Role.ALPHA_P]) * x * x
        below = (torch.expm1(torch.minimum(x, weights[Role.EPSILON])) - x) * (beta + softplus(weights[Role.ALPHA_N]))
        return torch.where(x > 0, above, below) + beta * x
