"""Multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2): what predicts the token after the next."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear


class NextTokens(Component, frozen=True, kw_only=True):
    """A matrix named `joined` on [norm(embedding); norm(hidden)], and `parts`: the norms before it and what follows.

    Where several layers together predict one token, only the first has the matrix (Nemotron 3).
    """

    joined: str | None
    width: Size
    parts: tuple[Component, ...]
    section: Section | None = Section.MTP
    auxiliary: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear(self.joined, Role.MTP_PROJ),) if self.joined else ()

    def sizes(self) -> Sizes:
        return {Role.MTP_PROJ: (self.width, self.width * 2)}
