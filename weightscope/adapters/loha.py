"""LoHa (Hyeon-Woo et al. 2021, LyCORIS): the product of two low-rank matrices, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.change import Module, Raw, Read, times, unscaled, widened
from weightscope.adapters.common.settings import Settings
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

FACTORS = ("w1_a", "w1_b", "w2_a", "w2_b")
WORDS = {part: f"hada_{part}" for part in FACTORS}
PARTS = dict.fromkeys((*FACTORS, "t1", "t2"), Role.LOHA_FACTOR)


class Hadamard(msgspec.Struct, frozen=True, kw_only=True):
    """W + s·(A1·B1)∘(A2·B2); `factors` names A1, B1, A2, B2."""

    weight: str
    factors: tuple[str, str, str, str]
    shape: tuple[int | None, ...]
    rank: int
    scale: float | None
    unready: str = ""
    adds: bool = True

    @property
    def tensors(self) -> tuple[str, ...]:
        """All four."""
        return self.factors

    @property
    def formula(self) -> str:
        """With the scale as a number."""
        return f"W + {times(self.scale)}·(A1·B1)∘(A2·B2)"

    @property
    def rowwise(self) -> bool:
        """Rows of A1 and A2 are enough, and nobody asks for them."""
        return False

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        del rows
        import torch

        wide = widened(weight)
        a1, b1, a2, b2 = (raw.whole(name).to(wide) for name in self.factors)
        return torch.addcmul(wide, a1 @ b1, a2 @ b2, value=self.scale or 0.0)


def read(module: Module, settings: Settings) -> Read:
    """The change of a module's weight."""
    if faults := module.lacking(**WORDS):
        return Read(faults=faults)
    a1, b1, a2, b2 = (module.shape(part) for part in FACTORS)
    if not all(len(shape) == 2 for shape in (a1, b1, a2, b2)) or not (a1[1] == b1[0] and a2[1] == b2[0]):
        return Read(faults=(module.fault(f"the factors {list(a1)}, {list(b1)}, {list(a2)}, {list(b2)} do not fit"),))
    scale = settings.scale_of(module.name, a1[1])
    change = Hadamard(
        weight=module.weight, factors=(module.parts["w1_a"], module.parts["w1_b"], module.parts["w2_a"],
                                       module.parts["w2_b"]),
        shape=(a1[0], b1[1]), rank=a1[1], scale=scale, unready=_unready(module, scale),
    )  # fmt: skip
    return Read(changes=(change,), faults=module.other_rank(a1[1], settings.rank_of(module.name)))


def _unready(module: Module, scale: float | None) -> str:
    if "t1" in module.parts or "t2" in module.parts:
        return f"the core tensors of {module.name} (LoHa on a convolution) are counted, not computed"
    return unscaled(scale, module.weight)
