"""Batch normalization with the statistics of training (Ioffe & Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch


class BatchNorm(Component, frozen=True, kw_only=True):
    """(x - mean) / √(variance + eps) · w + b for each channel, by statistics that are stored."""

    name: str
    size: Size
    eps: float = 1e-5
    role: Role = Role.NORM

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("", self.role, bias=True)
        yield Buffer("running_mean", Role.RUNNING_MEAN, (self.size,), optional=False)
        yield Buffer("running_var", Role.RUNNING_VARIANCE, (self.size,), optional=False)
        yield Buffer("num_batches_tracked", Role.RUNNING_STATISTIC, (), optional=False)

    def sizes(self) -> Sizes:
        return {self.role: (self.size,)}

    def equation(self, x: str = "x") -> str:
        return f"({x} − running_mean) / √(running_variance + {self.eps:g}) · {self.role} + bias"

    def terms(self) -> Mapping[Role, str]:
        return {
            self.role: self.equation(),
            Role.RUNNING_MEAN: "the mean of each channel in training",
            Role.RUNNING_VARIANCE: "the variance of each channel in training",
            Role.RUNNING_STATISTIC: "how many batches both are of; not used",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, channels, …] to the same."""
        import torch

        weights = at.weights(self)
        return torch.nn.functional.batch_norm(
            x,
            weights[Role.RUNNING_MEAN],
            weights[Role.RUNNING_VARIANCE],
            weights[self.role],
            weights[f"{self.role}.bias"],
            eps=self.eps,
        )
