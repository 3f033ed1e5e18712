"""From a path to a verdict: what cannot be read is a finding like any other."""

from __future__ import annotations

from pathlib import Path

from weightscope.analyses.checking import CheckResult, Policy
from weightscope.analyses.lock.record import Lock
from weightscope.api.naming import shown
from weightscope.api.opening import open_model
from weightscope.checkpoint.reader import Progress
from weightscope.errors import WeightscopeError
from weightscope.findings import Finding


def check_model(
    path: str | Path,
    policy: Policy,
    *,
    variant: str | None = None,
    values: bool = False,
    lock: Lock | None = None,
    progress: Progress | None = None,
    reference: str = "",
    base: str | Path | None = None,
    stream: int | None = None,
) -> CheckResult:
    """The verdict on one MODEL: what cannot be read is a finding, as far as something is there at all.

    `reference` names it in the verdict, where that is not the path. `base` is the model that an adapter is held
    against. What differs from a `lock` is found too. Values that are not here are read over the network if `stream`
    allows so many bytes.

    Raises:
        UsageError: there is no such path, or nothing in it that could be a model.
    """
    try:
        model = open_model(path, variant=variant, progress=progress, tolerant=True, base=base)
        if stream is not None:
            model.stream(stream)
        findings, rules = model.examine(values=values, progress=progress)
        if lock:
            findings, rules = (*findings, *model.check_lock(lock, progress)), rules + 1
    except WeightscopeError as error:
        if error.code is None:
            raise
        return policy.verdict(reference or shown(str(path)), [Finding.of(error)], tensors=0, rules=1)
    return policy.verdict(reference or shown(str(path)), findings, tensors=len(model.checkpoint.names), rules=rules)
