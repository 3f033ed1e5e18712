"""A norm whose output, or input, is multiplied by an activated gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import activate
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class GatedRMSNorm(Component, frozen=True, kw_only=True):
    """y / rms(y) · w with act(z) multiplied before the norm (`gate_first`, Mamba-2) or after it (gated delta rule).

    The root mean square is that of each of `groups` equal parts of the last dimension.
    """

    name: str
    role: Role = Role.NORM
    size: Size
    eps: float
    groups: int = 1
    gate_first: bool = False
    activation: str = "silu"
    word: ClassVar[str] = "gated_norm"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", self.role),)

    def sizes(self) -> Sizes:
        return {self.role: (self.size,)}

    def equation(self, x: str = "y") -> str:
        gate = f"{self.activation}(z)"
        return f"rms_norm({x} ⊙ {gate})" if self.gate_first else f"rms_norm({x}) ⊙ {gate}"

    def terms(self) -> Mapping[Role, str]:
        within = f" within {self.groups} groups" if self.groups > 1 else ""
        return {self.role: f"{self.equation()}, the norm with factor {self.role}{within}"}

    def gated(self, x: torch.Tensor, gate: torch.Tensor, at: At) -> torch.Tensor:
        """X and gate […, size]."""
        import torch

        wide = torch.promote_types(x.dtype, torch.float32)
        opened = activate(self.activation, gate.to(wide))
        x = x.to(wide) * opened if self.gate_first else x.to(wide)
        grouped = x.unflatten(-1, (self.groups, -1))  # type: ignore[no-untyped-call]
        normed = grouped * torch.rsqrt(grouped.pow(2).mean(-1, keepdim=True) + self.eps)
        out: torch.Tensor = normed.flatten(-2) * at.weights(self)[self.role]
        return out if self.gate_first else out * opened
