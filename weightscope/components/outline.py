"""Parts of which names and sizes are known, and the maths is not implemented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weightscope.components.base import Component
from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Sizes, StorageItem


class Outline(Component, frozen=True, kw_only=True):
    """Tensors of a module, each with a role of its own, and what is below it; `line` is its `glance`."""

    line: str = ""
    items: tuple[StorageItem, ...] = ()
    shapes: tuple[tuple[Role, Shape], ...] = ()
    inside: tuple[Component, ...] = ()

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        return dict(self.shapes)

    @property
    def glance(self) -> str:
        return self.line

    def equation(self, x: str = "x") -> str:
        return f"{self.name or 'part'}({x}); its maths is not implemented"

    def terms(self) -> Mapping[Role, str]:
        return {role: f"{role}; the maths of this part is not implemented" for role, _ in self.shapes}
