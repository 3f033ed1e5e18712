"""Everything that a report on one model says, each analysis asked once."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from threading import Event
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from weightscope.analyses.checking import CheckResult, Policy
from weightscope.analyses.diff.result import Diff
from weightscope.analyses.forward.outcome import Outcome
from weightscope.analyses.memory.report import Memory
from weightscope.analyses.stats.result import Stats
from weightscope.analyses.summary import Summary
from weightscope.analyses.treemap import Treemap, treemap
from weightscope.api.examining import examined
from weightscope.api.memory import asked
from weightscope.api.model import Model
from weightscope.api.tensors import Tensor
from weightscope.brief import brief
from weightscope.checkpoint.reader import Progress
from weightscope.checkpoint.streaming import is_streamed
from weightscope.errors import UsageError, WeightscopeError
from weightscope.findings import Finding, passes

T = TypeVar("T")


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """One model with what is said of it.

    `memory`, `stats` and `outcome` are None where they were not asked for, and an error where they could not be had.
    `drawn` is the matrix of which the page has a heatmap.
    """

    model: Model
    summary: Summary
    checked: CheckResult
    memory: Memory | WeightscopeError
    stats: Stats | WeightscopeError | None = None
    outcome: Outcome | WeightscopeError | None = None
    drawn: Tensor | None = None

    __repr__ = brief

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What `check` found, and what values and the pass add; what two say of the same tensors is there once."""
        found = list(self.checked.findings)
        for part in self._had:
            said = {(finding.code, finding.tensors) for finding in found if finding.tensors}
            found += [finding for finding in part.findings if (finding.code, finding.tensors) not in said]
        return tuple(found)

    @property
    def ok(self) -> bool:
        """Whether all that was asked for could be looked at, and nothing fails."""
        failed = any(isinstance(part, WeightscopeError) for part in (self.stats, self.outcome))
        return self.sound and not failed and all(part.ok for part in self._had)

    @property
    def sound(self) -> bool:
        """Whether nothing fails of what could be looked at."""
        return self.checked.ok and all(passes(part.findings, "error") for part in self._had)

    @property
    def _had(self) -> list[Stats | Outcome]:
        """The values and the pass, where they were asked for and could be had."""
        return [part for part in (self.stats, self.outcome) if isinstance(part, Stats | Outcome)]

    @property
    def complete(self) -> bool:
        """Whether nobody stopped the reading of values."""
        return not isinstance(self.stats, Stats) or self.stats.complete


class NotCompared(msgspec.Struct, frozen=True, kw_only=True):
    """Why values or logits of two models were not compared, though they were asked for; None where they were."""

    values: WeightscopeError | None = None
    logits: WeightscopeError | None = None

    @property
    def first(self) -> WeightscopeError | None:
        """One of them, if there is any."""
        return self.values or self.logits


def contents_of(
    model: Model, *, values: bool = False, progress: Progress | None = None, stop: Event | None = None
) -> Contents:
    """The contents without a forward pass.

    With `values`, every byte is read once, for `stats`; `check` adds what it finds by comparing some weights with
    others, unless they would be fetched for that a second time.

    Args:
        model: an opened model.
        values: read every byte.
        progress: called with (bytes done, bytes in all, tensor).
        stop: set it from another thread to have the figures that are known by then.
    """
    stats = attempted(lambda: model.stats(progress=progress, stop=stop)) if values else None
    comparable = isinstance(stats, Stats) and stats.complete
    findings, rules = examined(model, values=comparable and not is_streamed(model.checkpoint), seen=True)
    checked = Policy().verdict(model.reference, findings, tensors=len(model.checkpoint.names), rules=rules)
    memory = attempted(lambda: model.memory_for(asked()))
    return Contents(model=model, summary=model.summary(), checked=checked, memory=memory, stats=stats)


def attempted(ask: Callable[[], T]) -> T | WeightscopeError:
    """The answer, or the error that says why there is none."""
    try:
        return ask()
    except WeightscopeError as error:
        return error


def treemap_of_difference(model: Model, diff: Diff) -> Treemap:
    """The treemap of one of two compared models, with the differences at the tensors that their addresses stand for."""
    held = model.subject().holdings.by_address

    def names(finding: Finding) -> tuple[str, ...]:
        return tuple(name for address in finding.names for name in (held[address].names if address in held else ()))

    return treemap(model.subject(), [replace(finding, tensors=names(finding)) for finding in diff.findings])


def _is_readable(tensor: Tensor) -> bool:
    return len(tensor.shape) == 2 and not tensor.quantized and not tensor.remote


def drawn_matrix(model: Model, name: str | None = None) -> Tensor | None:
    """The matrix to draw: the one that `name` stands for, or the largest that is here and read as it is stored.

    Raises:
        UsageError: there is no such tensor, it has no values here, or it is no matrix.
    """
    if name is None:
        readable = (each for each in model.tensors.values() if _is_readable(each))
        return max(readable, key=lambda each: (prod(each.shape), each.name), default=None)
    found = model.explain(name).name
    if found not in model.tensors:
        raise UsageError(f"{found} has no values here", where=model.reference, hint="give a MODEL with weights")
    tensor = model.tensors[found]
    if len(tensor.shape) != 2:
        raise UsageError(f"{found} is no matrix", where=model.reference, hint="choose a tensor of two dimensions")
    return tensor
