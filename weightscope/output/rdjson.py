"""Verdicts in reviewdog's Diagnostic Format, which it turns into comments on a pull request of many services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weightscope.analyses.checking import CheckResult
from weightscope.findings import Finding, Severity
from weightscope.output.ci_json import PROJECT, ci_json
from weightscope.output.markdown import inline
from weightscope.output.places import Place, all_located, subject, where

SEVERITIES: dict[Severity, str] = {"error": "ERROR", "warning": "WARNING", "info": "INFO"}


def to_rdjson(results: Sequence[CheckResult]) -> str:
    """A `DiagnosticResult` with a diagnostic a finding."""
    diagnostics = [_diagnostic(*each) for each in all_located(results)]
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
    location: dict[str, Any] = {"path": where(result, place)}
    if place and place.line:
        location["range"] = {"start": {"line": place.line}}
    return location
