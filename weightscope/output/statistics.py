"""How often each code was found: the end of `weightscope check --statistics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from weightscope.analyses.checking import CheckResult
from weightscope.findings import Finding, Severity, most_severe_first
from weightscope.output.document import Column, Document, Table
from weightscope.output.overview import found

COLUMNS = (
    Column(title="Code"),
    Column(title="Severity"),
    Column(title="Findings", kind="count"),
    Column(title="Models", kind="count"),
)


class Statistic(msgspec.Struct, frozen=True, kw_only=True):
    """One code at one severity: its findings, and the MODELs that have any."""

    code: str
    severity: Severity
    findings: int
    models: int


def statistics_of(results: Sequence[CheckResult]) -> tuple[Statistic, ...]:
    """The most severe first, and of one severity the most frequent."""
    findings = Counter(key for result in results for key in map(_key, result.findings))
    models = Counter(key for result in results for key in set(map(_key, result.findings)))
    by_number = sorted(findings, key=lambda key: (-findings[key], key[1]))
    return tuple(
        Statistic(code=code, severity=severity, findings=findings[severity, code], models=models[severity, code])
        for severity, code in most_severe_first(by_number, lambda key: key[0])
    )


def _key(finding: Finding) -> tuple[Severity, str]:
    return finding.severity, finding.code


def statistics_document(results: Sequence[CheckResult]) -> Document:
    """The counts of all MODELs as a table."""
    rows = tuple(msgspec.structs.astuple(statistic) for statistic in statistics_of(results))
    return Document(
        data=None,
        title="Statistics",
        subtitle=found([finding for result in results for finding in result.findings]) or "nothing found",
        facts=(),
        table=Table(columns=COLUMNS, rows=rows),
    )
