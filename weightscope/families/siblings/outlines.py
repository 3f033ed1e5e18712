"""Parts that are named and counted alone, in a few words each."""

from __future__ import annotations

from weightscope.components.base import Component
from weightscope.components.outline import Outline
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Plain


def tensor(name: str, role: Role, *shape: Size, bias: bool = True, leaf: str = "weight") -> Outline:
    """A module with one weight, and a bias as long as its first dimension."""
    return Outline(items=(Plain(name, role, bias=bias, leaf=leaf),), shapes=((role, shape),))


def parameter(name: str, role: Role, *shape: Size) -> Outline:
    """A parameter that is no module's."""
    return tensor(name, role, *shape, bias=False, leaf="")


def module(name: str, *inside: Component) -> Outline:
    """A module that only holds others."""
    return Outline(name=name, inside=inside)
