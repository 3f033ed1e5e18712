"""BOFT (Liu et al. 2024): the inputs of a module are rotated several times, in blocks of other inputs each time.

Shapes: F factors, N blocks, K inputs a block, O outputs. Source: peft 0.21 `tuners/boft/layer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.change import Module, Raw, Read, widened
from weightscope.adapters.common.settings import Settings
from weightscope.adapters.oft import cayley
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {"boft_R": Role.OFT_ROTATION, "boft_s": Role.OFT_SCALE}


class Butterfly(msgspec.Struct, frozen=True, kw_only=True):
    """diag(s)·W·Rᵀ, where R is the product of F rotations in blocks; they are stored as [F, N, K, K], s as [O, 1]."""

    weight: str
    rotations: str
    scales: str
    shape: tuple[int | None, ...]
    rank: int | None = None
    unready: str = ""
    adds: bool = False
    rowwise: bool = True
    formula: str = "diag(s)·W·Rᵀ"

    @property
    def tensors(self) -> tuple[str, ...]:
        """Both."""
        return self.rotations, self.scales

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        import torch

        wide = widened(weight)
        stored = raw.whole(self.rotations).to(wide)
        factors, blocks, size, _ = stored.shape
        for number, factor in enumerate(stored):
            turns = cayley((factor - factor.mT) / 2)
            order = _order(blocks * size, blocks >> number, size, straight=factors == 1).to(wide.device)
            split = wide[:, order.argsort()].view(len(wide), blocks, size)
            wide = torch.einsum("onc,nkc->onk", split, turns).reshape(wide.shape)[:, order]
        scales = raw.whole(self.scales).to(wide)
        return wide * (scales if rows is None else scales[rows])


def _order(inputs: int, blocks: int, size: int, *, straight: bool) -> torch.Tensor:
    """The inputs in the order that a factor has them: within each of so many blocks, every other half comes first."""
    import torch

    if straight:
        return torch.arange(inputs)
    halves = torch.arange(inputs).view(blocks, -1, size // 2)
    return torch.cat((halves[:, ::2], halves[:, 1::2]), dim=1).flatten()


def read(module: Module, settings: Settings) -> Read:
    """The rotation of a module's inputs, and the scale of its outputs."""
    del settings
    if faults := module.lacking(boft_R="boft_R", boft_s="boft_s"):
        return Read(faults=faults)
    shape, scales = module.shape("boft_R"), module.shape("boft_s")
    if not _is_butterfly(shape) or len(scales) != 2 or scales[1] != 1:
        return Read(faults=(module.fault(f"boft_R {list(shape)} and boft_s {list(scales)} do not fit"),))
    change = Butterfly(
        weight=module.weight, rotations=module.parts["boft_R"], scales=module.parts["boft_s"],
        shape=(scales[0], shape[1] * shape[2]),
    )  # fmt: skip
    return Read(changes=(change,))


def _is_butterfly(shape: tuple[int, ...]) -> bool:
    """Whether blocks can be joined by twos as often as there are factors after the first."""
    if len(shape) != 4 or 0 in shape or shape[2] != shape[3]:
        return False
    factors, blocks, size, _ = shape
    return factors == 1 or (size % 2 == 0 and factors < 64 and blocks % (1 << (factors - 1)) == 0)
