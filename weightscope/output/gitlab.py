"""Verdicts as GitLab's Code Quality report, whose findings stand in a merge request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weightscope.analyses.checking import CheckResult
from weightscope.errors import one_line
from weightscope.findings import Finding, Severity
from weightscope.output.ci_json import ci_json
from weightscope.output.fingerprints import Fingerprints
from weightscope.output.places import Place, all_located, subject, where

# GitLab knows two more, `critical` and `blocker`.
SEVERITIES: dict[Severity, str] = {"error": "major", "warning": "minor", "info": "info"}


def to_gitlab(results: Sequence[CheckResult]) -> str:
    """An array with an object a finding; paths are relative to the repository, where a job of GitLab names it."""
    fingerprints = Fingerprints()
    return ci_json([_issue(*each, fingerprints.of(*each)) for each in all_located(results, "CI_PROJECT_DIR")])


def _issue(result: CheckResult, finding: Finding, place: Place | None, fingerprint: str) -> dict[str, Any]:
    text = "; ".join(filter(None, (f"{subject(result, place)}{finding.message}", finding.hint)))
    return {
        "description": one_line(text) or finding.code,
        "check_name": finding.code,
        "fingerprint": fingerprint,
        "severity": SEVERITIES[finding.severity],
        # Both are required: a remote model has no file, and not every finding has a line.
        "location": {
            "path": where(result, place),
            "lines": {"begin": place.line if place and place.line else 1},
        },
    }
