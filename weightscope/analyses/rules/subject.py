"""What every rule looks at, and how long lists are said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from weightscope.analyses.accounting import Parameters
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.reader import Checkpoint
from weightscope.config import Config
from weightscope.families.declaration import Declaration

if TYPE_CHECKING:
    from weightscope.analyses.held.holdings import Holdings
    from weightscope.analyses.rules.numbered import Miscount


class Subject(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One opened model, all of its parts side by side."""

    checkpoint: Checkpoint
    config: Config | None
    declaration: Declaration | None
    inventory: Inventory
    tying: Tying
    parameters: Parameters

    @property
    def has_shapes(self) -> bool:
        """Whether there are files, and not only names or a config."""
        return bool(self.checkpoint.files)

    @property
    def directory(self) -> Folder | None:
        """Where config and tokenizer lie, if MODEL is a directory; one file promises no neighbours, GGUF needs none."""
        return self.checkpoint.folder if self.checkpoint.whole and self.checkpoint.format != "gguf" else None

    @property
    def has_names(self) -> bool:
        """Whether there are files or an index."""
        return self.checkpoint.format != "config"

    @property
    def complete(self) -> bool:
        """Whether no shard is missing or unreadable: only then does an absent tensor mean anything."""
        return self.checkpoint.complete

    @cached_property
    def holdings(self) -> Holdings:
        """What it holds by role, without a head that is the token embedding again."""
        from weightscope.analyses.held.holdings import take_holdings

        return take_holdings(self.checkpoint, self.declaration, without_head=self.tying.tied)

    @cached_property
    def miscounts(self) -> list[Miscount]:
        """Layers and experts of which the config gives another number than there are."""
        if not (self.inventory.missing or self.inventory.unrecognized):
            return []
        # Few checkpoints need it, and none is to wait for its import.
        from weightscope.analyses.rules.numbered import miscounts

        return miscounts(self)


def listed(titles: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more kinds there are."""
    more = len(titles) - most
    return ", ".join(titles[:most]) + (f" and {more:,} more kind{'s' if more > 1 else ''}" if more > 0 else "")


def some(names: Sequence[object], noun: str = "tensor") -> str:
    """1 tensor, 4 tensors."""
    return f"{len(names):,} {noun}{'' if len(names) == 1 else 's'}"
