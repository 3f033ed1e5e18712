"""LoRAs inside a model, one for each of several tasks (jina-embeddings-v3, arXiv 2409.10173)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weightscope.components.base import Component
from weightscope.components.projection import Projection
from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Parametrized
from weightscope.storage.plain import Plain


class TaskLora(Component, frozen=True, kw_only=True):
    """What is added to one matrix for a task that its user names; without a task nothing is.

    `a` and `b` are the shapes of its two factors, which have the task as their first dimension.
    """

    a: Shape
    b: Shape

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Plain("", Role.LORA_A, leaf="lora_A"), Plain("", Role.LORA_B, leaf="lora_B")

    def sizes(self) -> Sizes:
        return {Role.LORA_A: self.a, Role.LORA_B: self.b}

    def equation(self, x: str = "x") -> str:
        return f"weight·{x}, or of a task (weight + lora_alpha/lora_rank · lora_B[task]·lora_A[task])·{x}"

    def terms(self) -> Mapping[Role, str]:
        return dict.fromkeys((Role.LORA_A, Role.LORA_B), "a factor of what a task adds to the weight (--task)")

    @property
    def awaited(self) -> bool:
        """Not: a pass reads them as it reads the weight beside them, and only for a task."""
        return False


class AdaptedProjection(Projection, frozen=True, kw_only=True):
    """A linear layer beside whose matrix such LoRAs lie."""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Parametrized("", self.role, bias=self.bias),)
