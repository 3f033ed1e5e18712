"""Buffers that lie beside a model's parts and that nothing is computed with."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component
from weightscope.storage.base import StorageItem
from weightscope.storage.plain import Buffer


class Buffers(Component, frozen=True, kw_only=True):
    """Tables that old checkpoints carry once for the whole model (ChatGLM's rotary frequencies)."""

    items: tuple[Buffer, ...]

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items
