"""Verdicts as GitLab's Code Quality report, whose findings stand in a merge request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weightscope.analyses.checking import CheckResult
from weightscope.errors import one_line
from weightscope.findings import Finding, Severity
from weightscope.output.ci_json import ci_json
from weightscope.output.fingerprints import Fingerprints
from weightscope.output.places import Place, located, root_of, subject

# GitLab knows two more, `critical` and `blocker`.
SEVERITIES: dict[Severity, str] = {"error": "major", "warning": "minor", "info": "info"}


def to_gitlab(results: Sequence[CheckResult]) -> str:
    """An array with an object a finding; paths are relative to the repository, where a job of GitLab names it."""
    root = root_of("CI_PROJECT_DIR")
    fingerprints = Fingerprints()
    return ci_json(
        [
            _issue(result, finding, place, fingerprints.of(result, finding, place))
            for result in results
            for finding, place in located(result, root)
        ]
    )


def _issue(result: CheckResult, finding: Finding, place: Place | None, fingerprint: str) -> dict[str, Any]:
    text = "; ".join(filter(None, (f"{subject(result, place)}{finding.message}", finding.hint)))
    return {
        "description": one_line(text) or finding.code,
        "check_name": finding.code,
        "fingerprint": fingerprint,
        "severity": SEVERITIES[finding.severity],
        # Both are required: a remote model has no file, and not every finding has a line.
        "location": {
            "path": place.path.as_posix() if place else result.reference,
            "lines": {"begin": place.line if place and place.line else 1},
        },
    }
