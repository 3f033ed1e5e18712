"""What a report on one model is made of: the results of the other commands, each asked for once."""

from __future__ import annotations

import msgspec

from weightscope.analyses.checking import CheckResult
from weightscope.analyses.forward.outcome import Outcome
from weightscope.analyses.memory.report import Memory
from weightscope.analyses.stats.result import Stats
from weightscope.analyses.summary import Summary
from weightscope.api.model import Model


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """One model with what is said of it. A part that could not be had has a reason instead.

    `stats` and `outcome` are None unless values were read and a forward pass was tried.
    """

    model: Model
    summary: Summary
    checked: CheckResult
    memory: Memory | None = None
    stats: Stats | None = None
    outcome: Outcome | None = None
    no_memory: str = ""
    no_stats: str = ""
    no_outcome: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing that was looked at fails."""
        return self.checked.ok and (self.stats is None or self.stats.ok) and (self.outcome is None or self.outcome.ok)
