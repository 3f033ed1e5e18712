"""Two models to compare, with their weights by address."""

from __future__ import annotations

from functools import cached_property

import msgspec
from msgspec.structs import replace

from weightscope.analyses.adapting.overlay import Overlay
from weightscope.analyses.diff.counts import Counts
from weightscope.analyses.diff.headers import Weights, precision_of
from weightscope.analyses.diff.result import Side
from weightscope.analyses.diff.sides import Reader
from weightscope.analyses.held.holdings import Held, Holdings, take_holdings
from weightscope.checkpoint.entry import require_here
from weightscope.checkpoint.reader import Checkpoint
from weightscope.config import Config
from weightscope.errors import CheckpointError, UsageError, printable_path
from weightscope.families.declaration import Declaration


class Opened(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One of two models, as far as a comparison needs it. A head that is `tied` is the embedding, stored or not.

    `overlay` are adapters that change its weights as they are read.
    """

    reference: str
    checkpoint: Checkpoint
    config: Config | None
    declaration: Declaration | None
    tied: bool
    counts: Counts
    overlay: Overlay | None = None

    @cached_property
    def holdings(self) -> Holdings:
        """Its weights; by name without a declaration."""
        found = take_holdings(self.checkpoint, self.declaration, without_head=self.tied)
        if self.overlay is None:
            return found
        units = (replace(unit, held=tuple(self._adapted(held) for held in unit.held)) for unit in found.units)
        return replace(found, units=tuple(units))

    def _adapted(self, held: Held) -> Held:
        """What an adapter changes is computed in float32, and lies in no tensor."""
        changed = self.overlay is not None and any(self.overlay.of(name) for name in (*held.names, held.before))
        return replace(held, direct="", dtype="F32") if changed else held

    @cached_property
    def weights(self) -> Weights:
        """The same by address."""
        return self.holdings.by_address

    @property
    def side(self) -> Side:
        """What is said of it."""
        return Side(
            reference=printable_path(self.reference),
            model_type=self.config.model_type if self.config else "",
            format=self.checkpoint.format,
            weights=len(self.weights),
            precision=precision_of(self.weights),
            parameters=self.counts.total,
            auxiliary=self.counts.auxiliary,
        )

    def reader(self) -> Reader:
        """A reader of its values, for one thread."""
        return Reader(self.checkpoint, self.declaration, self.holdings, self.overlay)


def pair(a: Opened, b: Opened, *, values: bool) -> tuple[Opened, Opened]:
    """Both, by role if both are declared, else by name.

    Raises:
        UsageError: nothing tells what one of them holds, or values are asked for and there are none.
        CheckpointError: shards are missing, damaged, or not here.
    """
    for one in (a, b):
        if one.checkpoint.format == "index":
            raise UsageError("an index gives names, no shapes", where=one.reference, hint="give the model's folder")
        if one.checkpoint.format == "config" and one.declaration is None:
            raise UsageError("an undeclared config tells no weights", where=one.reference, hint="give weights")
        if not one.checkpoint.complete:
            raise CheckpointError(
                "shards are missing or damaged", where=one.reference, hint="`weightscope check` says which"
            )
        if values and not one.checkpoint.files:
            raise UsageError("--values needs weights, and there are none here", where=one.reference)
        if values:
            require_here(*(file.out_of_reach for file in one.checkpoint.files))
    if a.declaration is None or b.declaration is None:
        return replace(a, declaration=None), replace(b, declaration=None)
    return a, b
