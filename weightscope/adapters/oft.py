"""OFT (Qiu et al. 2023): the inputs of a module are rotated, in blocks that lie beside each other.

Shapes: O outputs, N blocks, K inputs a block. A rotation is stored as what is above the diagonal of a skew-symmetric
matrix Q. Source: peft 0.21 `tuners/oft/layer.py`.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from weightscope.adapters.common.change import Module, OneTensor, Raw, Read, widened
from weightscope.adapters.common.settings import Rotation, Settings
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {"oft": Role.OFT_ROTATION}


class Rotated(OneTensor, frozen=True, kw_only=True):
    """W·Rᵀ, where R has a rotation [K, K] of each block on its diagonal, or the same one for all blocks."""

    block: int
    rotation: Rotation

    @property
    def formula(self) -> str:
        """How R comes from Q."""
        made = "(1+Q)⁻¹·(1−Q)" if not self.rotation.terms else f"1 + 2Q + 2Q² + … to {self.rotation.terms} terms"
        return f"W·Rᵀ, R = {made}"

    @property
    def rowwise(self) -> bool:
        """A row is rotated alone."""
        return True

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        del rows
        import torch

        wide = widened(weight)
        turns = _rotations(raw.whole(self.tensor).to(wide), self.block, self.rotation)
        blocks = wide.view(len(wide), -1, self.block)
        return torch.einsum("onc,nkc->onk", blocks, turns.expand(blocks.shape[1], -1, -1)).reshape(wide.shape)


def _rotations(stored: torch.Tensor, block: int, rotation: Rotation) -> torch.Tensor:
    """R [N, K, K] from [N, K·(K-1)/2]."""
    import torch

    skew = stored.new_zeros(len(stored), block, block)
    above, beside = torch.triu_indices(block, block, 1)
    skew[:, above, beside] = stored
    skew = skew - skew.mT
    if rotation.limit is not None:
        limit = rotation.limit / len(stored) ** 0.5
        length = torch.linalg.matrix_norm(skew, keepdim=True)
        skew = torch.where(length <= limit, skew, skew * (limit / length))
    return _series(skew, rotation.terms) if rotation.terms else cayley(skew)


def cayley(skew: torch.Tensor) -> torch.Tensor:
    """The rotations (1+Q)⁻¹·(1−Q) of skew-symmetric matrices Q [N, K, K]."""
    import torch

    one = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device).expand_as(skew)
    solved: torch.Tensor = torch.linalg.solve(one + skew, one - skew, left=False)
    return solved


def _series(skew: torch.Tensor, terms: int) -> torch.Tensor:
    """1 + 2Q + 2Q² + …, as PEFT cuts it off: the last power has no factor, and there are three powers at least."""
    import torch

    made = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device).repeat(len(skew), 1, 1)
    if terms > 1:
        made += 2 * skew
    if terms > 2:
        power = skew @ skew
        made += 2 * power
        for _ in range(3, terms - 1):
            power = power @ skew
            made += 2 * power
        made += power @ skew
    return made


def read(module: Module, settings: Settings) -> Read:
    """The rotation of a module's inputs."""
    shape, rotation = module.shape("oft"), settings.rotation
    block = (1 + isqrt(1 + 8 * shape[1])) // 2 if len(shape) == 2 else 0
    if len(shape) != 2 or not shape[0] or block * (block - 1) // 2 != shape[1]:
        return Read(faults=(module.fault(f"oft_R is {list(shape)}, and holds no rotations"),))
    if rotation and rotation.shared and shape[0] != 1:
        return Read(faults=(module.fault(f"oft_R has {shape[0]:,} rotations, but the settings say block_share"),))
    change = Rotated(
        weight=module.weight, tensor=module.parts["oft"], block=block, rotation=rotation or Rotation(),
        shape=(None, None if rotation and rotation.shared else shape[0] * block),
        unready="" if rotation else "nothing tells how the rotations of OFT are made (use_cayley_neumann)",
    )  # fmt: skip
    return Read(changes=(change,))
