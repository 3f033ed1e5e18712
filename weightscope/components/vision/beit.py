"""BEiT (arXiv 2106.08254): layers add numbers that are learned for distances; they may share a table of them."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.attention.shared_table import SharedTable
from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.components.vision.normed_encoder import NormedEncoder


class BeitEncoder(NormedEncoder, frozen=True, kw_only=True):
    """`shared` is the table that all layers use besides their own."""

    shared: SharedTable | None = None
    prepared_by: str = "BeitImageProcessor"

    def children(self) -> Iterable[Component]:
        *parts, last = super().children()
        return (last, *parts) if self.shared else (*parts, last)

    def prepare(self, at: At, within: At) -> None:
        if self.shared:
            self.shared.leave(at.below(self.shared), within)
