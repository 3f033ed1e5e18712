"""Verdicts in reviewdog's Diagnostic Format, which it turns into comments on a pull request of many services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weightscope.analyses.checking import CheckResult
from weightscope.findings import Finding, Severity
from weightscope.output.ci_json import PROJECT, ci_json
from weightscope.output.markdown import inline
from weightscope.output.places import Place, located, subject

SEVERITIES: dict[Severity, str] = {"error": "ERROR", "warning": "WARNING", "info": "INFO"}


def to_rdjson(results: Sequence[CheckResult]) -> str:
    """A `DiagnosticResult` with a diagnostic a finding."""
    diagnostics = [_diagnostic(result, *located_) for result in results for located_ in located(result)]
    return ci_json({"source": {"name": "weightscope", "url": PROJECT}, "diagnostics": diagnostics})


def _diagnostic(result: CheckResult, finding: Finding, place: Place | None) -> dict[str, Any]:
    # reviewdog puts the message into a comment as it is, where names could be links and mentions.
    lines = (f"{subject(result, place)}{finding.message}", finding.hint)
    return {
        "message": "\n".join(filter(None, map(inline, lines))) or finding.code,
        "location": _location(result, place),
        "severity": SEVERITIES[finding.severity],
        "code": {"value": finding.code},
    }


def _location(result: CheckResult, place: Place | None) -> dict[str, Any]:
    """The file, and the line where it is known. A path is required: of a remote model it is what it was called by."""
    if place is None:
        return {"path": result.reference}
    location: dict[str, Any] = {"path": place.path.as_posix()}
    if place.line:
        location["range"] = {"start": {"line": place.line}}
    return location
