"""AdaLoRA (Zhang et al. 2023): W + s·B·diag(E)·A, each module with the rank that was left to it while training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.change import Module, Raw, Read, times, unscaled
from weightscope.adapters.common.settings import Settings
from weightscope.adapters.lora import added
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {"E": Role.LORA_E, "ranknum": Role.LORA_ALPHA}
# PEFT adds it to the rank that it divides by.
EPSILON = 1e-5


class Singular(msgspec.Struct, frozen=True, kw_only=True):
    """W + s·B·diag(E)·A; A is [R, I], E [R, 1], B [O, R], and R may be 0."""

    weight: str
    a: str
    b: str
    e: str
    shape: tuple[int | None, ...]
    rank: int
    scale: float | None
    adds: bool = True
    rowwise: bool = True

    @property
    def tensors(self) -> tuple[str, ...]:
        """A, B and E."""
        return self.a, self.b, self.e

    @property
    def formula(self) -> str:
        """With the scale as a number."""
        return f"W + {times(self.scale)}·B·diag(E)·A"

    @property
    def unready(self) -> str:
        """Whether the scale is known."""
        return unscaled(self.scale, self.weight)

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        outward = raw.whole(self.b) if rows is None else raw.rows(self.b, rows)
        return added(weight, outward, raw.whole(self.a) * raw.whole(self.e), self.scale or 0.0)


def read(module: Module, settings: Settings) -> Read:
    """The change of a module's weight."""
    if faults := module.lacking(A="lora_A", B="lora_B", E="lora_E"):
        return Read(faults=faults)
    a, b, e = (module.shape(part) for part in ("A", "B", "E"))
    if len(a) != 2 or len(b) != 2 or a[0] != b[1] or e != (a[0], 1):
        shapes = f"lora_A {list(a)}, lora_B {list(b)} and lora_E {list(e)}"
        return Read(faults=(module.fault(f"{shapes} do not fit"),))
    change = Singular(
        weight=module.weight, a=module.parts["A"], b=module.parts["B"], e=module.parts["E"], rank=a[0],
        shape=(b[0], a[1]), scale=_scale(module.name, settings),
    )  # fmt: skip
    return Read(changes=(change,), faults=module.other_rank(a[0], settings.rank_of(module.name)))


def _scale(module: str, settings: Settings) -> float | None:
    """What PEFT multiplies by: it divides by the rank at the start, whatever is left of it."""
    alpha = settings.alpha_of(module)
    if alpha is None or settings.rank is None:
        return None
    return (alpha if alpha > 0 else settings.rank) / (settings.rank + EPSILON)
