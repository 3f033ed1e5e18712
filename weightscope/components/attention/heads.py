"""Heads of an attention: how many there are, how large, and whose keys and values they use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.base import Conflict
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes

if TYPE_CHECKING:
    import torch


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """`count` query heads of `size` elements, which share `keys` key and value heads in consecutive groups.

    `value` is the size of a value head where it is another (MiMo-V2). `even`: the class refuses a width that is not a
    multiple of the heads; others round the size of a head down.
    """

    count: Size
    keys: Size
    size: Size
    value: Size | None = None
    even: bool = False

    @property
    def value_size(self) -> Size:
        """Elements of one value head."""
        return self.size if self.value is None else self.value

    def conflicts(self) -> Iterable[Conflict]:
        """Queries that no number of keys shares equally."""
        if self.keys and self.count % self.keys:
            yield Conflict(
                f"{self.count:,} query heads ({self.count.text}) are not a multiple of "
                f"{self.keys:,} key/value heads ({self.keys.text})",
                (*self.count.keys, *self.keys.keys),
            )

    def sizes(self, width: Size, *, source: Size | None = None, out: Size | None = None) -> Sizes:
        """Of the four projections: from `width`, keys and values from `source`, back to `out`; both `width` if None."""
        queries, keys, values = self.count * self.size, self.keys * self.size, self.keys * self.value_size
        return {
            Role.Q_PROJ: (queries, width),
            Role.K_PROJ: (keys, width if source is None else source),
            Role.V_PROJ: (values, width if source is None else source),
            Role.O_PROJ: (width if out is None else out, self.count * self.value_size),
        }

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """Heads side by side, […, N, heads · size], as […, heads, N, size]."""
        return x.unflatten(-1, (-1, int(self.size))).transpose(-3, -2)  # type: ignore[no-untyped-call,no-any-return]

    @property
    def words(self) -> str:
        """For people: `32 heads of 128 (8 kv)`, `64 heads of 192 (4 kv of 192+128)`."""
        grouped, sizes = self.keys != self.count, self.value_size != self.size
        of_keys = f" of {self.size:,}+{self.value_size:,}" if sizes else ""
        return f"{self.count:,} heads of {self.size:,}" + (f" ({self.keys:,} kv{of_keys})" if grouped or sizes else "")


class SharedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Layers of one `group` have one set of keys and values: one makes them, later ones take them (Gemma 3n)."""

    group: str
    takes: bool
