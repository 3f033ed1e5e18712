"""What differs between two models, as findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.diff.result import ForwardDiff
from weightscope.analyses.diff.verdict import Facts
from weightscope.analyses.rules.subject import listed, some
from weightscope.findings import Finding, Severity
from weightscope.ranges import summed

# Of the logits' RMS, as `forward --expect` has it.
TOLERANCE = 0.001


def differences(facts: Facts) -> Iterator[Finding]:
    """`different`: an error for each kind of difference; *info* where only the form differs."""
    if facts.config:
        keys = [change.key for change in facts.config]
        told = [f"{change.key} is {change.a!r:.60} in A and {change.b!r:.60} in B" for change in facts.config[:3]]
        more = f", and {len(keys) - 3:,} more" if len(keys) > 3 else ""
        yield _finding(f"config.json: {'; '.join(told)}{more}", config=tuple(keys))
    if facts.removed:
        yield _finding(f"{some(facts.removed, 'weight')} in A alone: {_titles(facts.removed)}", facts.removed)
    if facts.added:
        yield _finding(f"{some(facts.added, 'weight')} in B alone: {_titles(facts.added)}", facts.added)
    shapes: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for change in facts.reshaped:
        shapes.setdefault((change.a, change.b), []).append(change.address)
    for (before, after), addresses in shapes.items():
        yield _finding(
            f"{_titles(addresses)}: {list(before)} in A, {list(after)} in B", addresses, expected=before, actual=after
        )
    for retyped in facts.retyped:
        text = f"{retyped.weights:,} weights are {retyped.a} in A and {retyped.b} in B: {listed(retyped.titles)}"
        yield _finding(text, retyped.titles, severity="info")
    changed = [value.address for value in facts.values or () if not value.equal]
    if changed:
        yield _finding(f"{some(changed, 'weight')} with other values: {_titles(changed)}", changed)


def other_logits(forward: ForwardDiff) -> Iterator[Finding]:
    """`different`, an error where logits differ by more than computing alike leaves."""
    if not forward.largest <= TOLERANCE:
        yield _finding(f"logits differ by up to {forward.largest * 100:.3g} % of their RMS")


def _titles(addresses: Sequence[str]) -> str:
    return listed(summed(addresses))


def _finding(
    message: str,
    addresses: Sequence[str] = (),
    *,
    severity: Severity = "error",
    expected: object = None,
    actual: object = None,
    config: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        code="different",
        severity=severity,
        message=message,
        tensors=tuple(summed(addresses)),
        expected=expected,
        actual=actual,
        config=config,
    )
