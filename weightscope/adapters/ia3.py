"""IA3 (Liu et al. 2022): learned vectors that scale what comes out of a module, or what goes into it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from weightscope.adapters.common.change import Module, OneTensor, Raw, Read, widened
from weightscope.adapters.common.settings import Settings
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {"ia3": Role.IA3_VECTOR}


class Scaled(OneTensor, frozen=True, kw_only=True):
    """l·W for a vector l [out, 1] or [1, in]; of a bias [out]."""

    inputs: bool

    @property
    def formula(self) -> str:
        """Which side is scaled."""
        return "W·diag(l)" if self.inputs else "diag(l)·W"

    @property
    def rowwise(self) -> bool:
        """A vector of outputs has an entry a row."""
        return True

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        wide = widened(weight)
        vector = raw.whole(self.tensor).to(wide)
        if self.inputs:
            return wide * vector.view(1, -1)
        entries = vector.view(-1) if rows is None else vector.view(-1)[rows]
        return wide * entries.view(-1, *[1] * (wide.ndim - 1))


def read(module: Module, settings: Settings) -> Read:
    """The scaling of a module's weight, and of its bias where outputs are scaled."""
    tensor, shape = module.parts["ia3"], module.shape("ia3")
    size = prod(shape)
    if len(shape) not in (1, 2, 4, 5) or max(shape, default=0) != size or not size:
        return Read(faults=(module.fault(f"ia3_l is {list(shape)}, not a vector"),))
    inputs = _is_feedforward(module.name, settings) or (len(shape) == 2 and shape[0] == 1 and size > 1)
    wanted = (None, size) if inputs else (size, None)
    weight = Scaled(weight=module.weight, tensor=tensor, shape=wanted, inputs=inputs)
    bias = Scaled(weight=f"{module.name}.bias", tensor=tensor, shape=(size,), inputs=False)
    return Read(changes=(weight,) if inputs else (weight, bias))


def _is_feedforward(module: str, settings: Settings) -> bool:
    return any(module == name or module.endswith(f".{name}") for name in settings.feedforward)
