"""What the rules for adapters look at, and how they say what they find."""

from __future__ import annotations

from functools import cached_property

import msgspec

from weightscope.adapters.registry import Adapter
from weightscope.analyses.adapting.base import BaseWeights
from weightscope.analyses.adapting.fit import Fit, fit
from weightscope.checkpoint.reader import Checkpoint
from weightscope.findings import Finding, Severity

# Kinds of faults that are told one by one.
MOST_FAULTS = 5


class AdapterSubject(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """An opened adapter; with `base`, the weights that it is for, and how those were named."""

    adapter: Adapter
    checkpoint: Checkpoint
    base: BaseWeights | None
    base_name: str

    @cached_property
    def fit(self) -> Fit | None:
        """What fits the base; None without one."""
        return fit(self.adapter, self.base) if self.base else None


def mismatch(
    message: str,
    hint: str,
    *,
    severity: Severity = "error",
    tensors: tuple[str, ...] = (),
    expected: object = None,
    actual: object = None,
) -> Finding:
    """A finding about an adapter."""
    return Finding(
        code="adapter-mismatch",
        severity=severity,
        message=message,
        tensors=tensors,
        expected=expected,
        actual=actual,
        hint=hint,
    )
