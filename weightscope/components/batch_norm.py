"""Batch normalization with the statistics of training (Ioffe & Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Kind, Scope, Sizes, StorageItem, Stored, join
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class RunningStatistics(msgspec.Struct, frozen=True):
    """The mean and the variance of each channel, and how many batches they are of: buffers that a pass needs."""

    size: Size

    @property
    def roles(self) -> tuple[Role, ...]:
        """The one role held here."""
        return (Role.RUNNING_STATISTIC,)

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The three buffers."""
        del sizes
        shapes: dict[str, Shape] = {
            "running_mean": (self.size,),
            "running_var": (self.size,),
            "num_batches_tracked": (),
        }
        for name, shape in shapes.items():
            parts = ((Role.RUNNING_STATISTIC, int(prod(shape))),)
            yield Stored(name=join(prefix, name), shape=shape, parts=parts, kind=Kind.BUFFER)

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The `mean` and the `variance`."""
        del sizes
        return {
            "mean": scope.tensor(join(prefix, "running_mean")),
            "variance": scope.tensor(join(prefix, "running_var")),
        }

    def layout(self, sizes: Sizes) -> str:
        """As they are used."""
        del sizes
        return ""


class BatchNorm(Component, frozen=True, kw_only=True):
    """(x - mean) / √(variance + eps) · w + b for each channel, by statistics that are stored."""

    name: str
    size: Size
    eps: float = 1e-5
    role: Role = Role.NORM

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Plain("", self.role, bias=True), RunningStatistics(self.size)

    def sizes(self) -> Sizes:
        return {self.role: (self.size,)}

    def equation(self, x: str = "x") -> str:
        return f"({x} − running_mean) / √(running_var + {self.eps:g}) · {self.role} + bias"

    def terms(self) -> Mapping[Role, str]:
        return {
            self.role: self.equation(),
            Role.RUNNING_STATISTIC: "the mean and variance of each channel that training found",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, channels, …] to the same."""
        import torch

        weights = at.weights(self)
        return torch.nn.functional.batch_norm(
            x, weights["mean"], weights["variance"], weights[self.role], weights[f"{self.role}.bias"], eps=self.eps
        )
