"""LoKr (Yeh et al. 2023, LyCORIS): the Kronecker product of two small matrices, each whole or of low rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.change import Module, Raw, Read, times, unscaled, widened
from weightscope.adapters.common.settings import Settings
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

HALVES = (("w1", "kron_w1_a", "kron_w1_b"), ("w2", "kron_w2_a", "kron_w2_b"))
PARTS = dict.fromkeys((*HALVES[0], *HALVES[1], "kron_t2"), Role.LOKR_FACTOR)


class Kronecker(msgspec.Struct, frozen=True, kw_only=True):
    """W + s·(W1 ⊗ W2); each half is one tensor or the product of two."""

    weight: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    shape: tuple[int | None, ...]
    rank: int | None
    scale: float | None
    unready: str = ""
    adds: bool = True

    @property
    def tensors(self) -> tuple[str, ...]:
        """Those of both halves."""
        return (*self.first, *self.second)

    @property
    def formula(self) -> str:
        """With the scale as a number."""
        return f"W + {times(self.scale)}·(W1 ⊗ W2)"

    @property
    def rowwise(self) -> bool:
        """Nobody asks for rows."""
        return False

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        del rows
        import torch

        wide = widened(weight)
        product = torch.kron(_half(self.first, wide, raw), _half(self.second, wide, raw))
        return torch.add(wide, product, alpha=self.scale or 0.0)


def _half(names: tuple[str, ...], wide: torch.Tensor, raw: Raw) -> torch.Tensor:
    factors = [raw.whole(name).to(wide) for name in names]
    return factors[0] if len(factors) == 1 else factors[0] @ factors[1]


def read(module: Module, settings: Settings) -> Read:
    """The change of a module's weight."""
    halves: list[tuple[str, ...]] = []
    shapes: list[tuple[int, int]] = []
    for whole, left, right in HALVES:
        parts = (whole,) if whole in module.parts else (left, right)
        if faults := module.lacking(**{part: f"lokr_{part.removeprefix('kron_')}" for part in parts}):
            return Read(faults=faults)
        found = [module.shape(part) for part in parts]
        if any(len(shape) != 2 for shape in found) or (len(found) == 2 and found[0][1] != found[1][0]):
            return Read(
                faults=(module.fault(f"the factors {', '.join(str(list(shape)) for shape in found)} do not fit"),)
            )
        halves.append(tuple(module.parts[part] for part in parts))
        shapes.append((found[0][0], found[-1][1]))
    rank = next((module.shape(part)[1] for part in ("kron_w1_a", "kron_w2_a") if part in module.parts), None)
    # What has no low-rank half was stored so because its rank is that of the settings at least.
    scale = settings.scale_of(module.name, rank or settings.rank_of(module.name) or 0)
    change = Kronecker(
        weight=module.weight, first=halves[0], second=halves[1], rank=rank, scale=scale,
        shape=(shapes[0][0] * shapes[1][0], shapes[0][1] * shapes[1][1]), unready=_unready(module, scale),
    )  # fmt: skip
    return Read(changes=(change,), faults=module.other_rank(rank, settings.rank_of(module.name)))


def _unready(module: Module, scale: float | None) -> str:
    if "kron_t2" in module.parts:
        return f"the core tensor of {module.name} (LoKr on a convolution) is counted, not computed"
    return unscaled(scale, module.weight)
