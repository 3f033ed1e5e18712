"""One row for each of several MODELs, below what was said of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from weightscope.analyses.checking import CheckResult
from weightscope.analyses.summary import Summary
from weightscope.findings import SEVERITIES, Finding, Severity
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table
from weightscope.output.facts import dtypes

MODEL = Column(title="Model", kind="name")
NOUNS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def overview_document(summaries: Sequence[Summary], *, exact: bool = False) -> Document:
    """What `inspect` says of several, side by side."""
    columns = (
        MODEL,
        Column(title="Family"),
        Column(title="Parameters", kind="amount"),
        Column(title="Bytes", kind="bytes"),
        Column(title="Dtypes"),
        Column(title="Findings"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            summary.model.reference,
            summary.model.family or summary.model.model_type or "unknown",
            summary.parameters.total,
            summary.bytes or None,
            dtypes(summary),
            found(summary.findings) or "none",
        )
        for summary in summaries
    ]
    total = sum(summary.parameters.total or 0 for summary in summaries)
    size = sum(summary.bytes for summary in summaries)
    return Document(
        data=None,
        title=words.plural(len(summaries), "model"),
        subtitle=f"{words.amount(total, exact=exact)} parameters"
        + (f" · {words.size(size, exact=exact)}" if size else ""),
        facts=(),
        table=Table(columns=columns, rows=tuple(rows)),
        exact=exact,
    )


def verdicts_document(results: Sequence[CheckResult]) -> Document:
    """What `check` says of several, side by side."""
    failed = sum(not result.ok for result in results)
    rows = tuple(
        (result.reference, "ok" if result.ok else "failed", found(result.findings) or "none") for result in results
    )
    return Document(
        data=None,
        title=words.plural(len(results), "model"),
        verdict="failed" if failed else "ok",
        subtitle=f"{len(results) - failed:,} ok, {failed:,} failed",
        facts=(),
        table=Table(columns=(MODEL, Column(title="Verdict"), Column(title="Findings")), rows=rows),
    )


def looked_at(result: CheckResult) -> str:
    """12 tensors, 20 rules."""
    return f"{words.plural(result.checked.tensors, 'tensor')}, {words.plural(result.checked.rules, 'rule')}"


def found(findings: Sequence[Finding], between: str = ", ") -> str:
    """1 error, 2 notes; empty for none."""
    counts = Counter(finding.severity for finding in findings)
    return between.join(words.plural(counts[severity], NOUNS[severity]) for severity in SEVERITIES if counts[severity])
