"""Which stages of a pass a person should look at, and why; of what goes on for many layers, where it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.forward.outcome import Outcome
from weightscope.analyses.forward.peer import key_of
from weightscope.analyses.forward.stages import Stage

# From one stage to the next the RMS of a trained model changes by less, but for the first layers.
JUMP = 10
# Single elements of the residual stream are larger than this in many models (massive activations, arXiv 2402.17762).
OUTLIER = 100


def standing_out(outcome: Outcome) -> Iterator[tuple[Stage, str]]:
    """Stages in their order, each with the reason."""
    found = {finding.tensors: finding.code for finding in outcome.findings if finding.tensors}
    last_of = {key_of(stage.stage): stage.stage for stage in outcome.stages}
    differs = max(outcome.compared, key=lambda item: item.relative, default=None)
    mismatch = any(finding.code == "output-mismatch" for finding in outcome.findings)
    farthest = last_of.get(differs.stage) if differs and mismatch else None
    for stage, reasons in changing(outcome.stages, outcome.token_ids):
        if code := found.pop(stage.weights, None):
            reasons.append(code)
        if stage.stage == farthest:
            reasons.append("largest difference")
        if reasons:
            yield stage, "; ".join(dict.fromkeys(reasons))


def changing(stages: Sequence[Stage], tokens: Sequence[int]) -> Iterator[tuple[Stage, list[str]]]:
    """Every stage with what begins with it, by its figures alone."""
    several = len(set(tokens)) > 1
    before: Stage | None = None
    for stage in stages:
        yield stage, [*_changes(before, stage, several=several)]
        before = stage


def _changes(before: Stage | None, stage: Stage, *, several: bool) -> Iterator[str]:
    """What begins with this stage."""
    if not stage.finite:
        if before is None or before.finite:
            yield "NaN or infinity from here on"
        return
    if several and stage.shape[1] > 1 and not stage.varies and (before is None or before.varies):
        yield "all zero" if stage.absmax == 0 else "the same for every token"
    if _outlier(stage) and not (before and _outlier(before)):
        yield f"one value is {_outlier(stage):,.0f} times the RMS"
    if before and before.shape == stage.shape and before.rms and stage.rms and not _is_a_norm(stage):
        growth = stage.rms / before.rms
        if growth >= JUMP:
            yield f"RMS grows {growth:,.3g} times"
        elif growth <= 1 / JUMP:
            yield f"RMS falls to {growth:.2g} of the stage before"


def _outlier(stage: Stage) -> float:
    """The largest magnitude in units of the RMS, where that is much; else 0."""
    ratio = stage.absmax / stage.rms if stage.absmax and stage.rms else 0.0
    return ratio if ratio >= OUTLIER else 0.0


def _is_a_norm(stage: Stage) -> bool:
    """Whether its purpose is to change the RMS."""
    return stage.stage.endswith("norm")
