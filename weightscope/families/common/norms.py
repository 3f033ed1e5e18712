"""Norms that are alike in all but their names, roles and sizes."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.norm import LayerNorm, RMSNorm
from weightscope.roles import Role
from weightscope.sizes import Size


def rms_norms(
    eps: float, *, offset: float = 0.0, weighted: bool = True, wide: bool = False
) -> Callable[[str, Role, Size], RMSNorm]:
    """Makes RMS norms of a name, role and size that are alike in all else."""
    return lambda name, role, size: RMSNorm(
        name=name, role=role, size=size, eps=eps, offset=offset, weighted=weighted, wide=wide
    )


def layer_norms(
    eps: float,
    *,
    bias: bool = True,
    weighted: bool = True,
    offset: float = 0.0,
    leaves: tuple[str, str] = ("weight", "bias"),
    wide: int = 0,
) -> Callable[[str, Role, Size], LayerNorm]:
    """Makes layer norms of a name, role and size that are alike in all else."""
    return lambda name, role, size: LayerNorm(
        name=name, role=role, size=size, eps=eps, bias=bias, weighted=weighted, offset=offset, leaves=leaves, wide=wide
    )
