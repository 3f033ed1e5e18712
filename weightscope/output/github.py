"""Verdicts as GitHub Actions workflow commands, which become annotations on the files of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.analyses.checking import CheckResult
from weightscope.errors import one_line
from weightscope.findings import Finding, Severity
from weightscope.output import words
from weightscope.output.overview import found
from weightscope.output.places import Place, all_located, subject

COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}
# As escapeData and escapeProperty of @actions/core, whose runner undoes it.
DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY = DATA | str.maketrans({":": "%3A", ",": "%2C"})


def to_github(results: Sequence[CheckResult]) -> str:
    """A command a finding, and a closing line that counts; paths are relative to the workspace of a job."""
    lines = [_annotation(*each) for each in all_located(results, "GITHUB_WORKSPACE")]
    return "\n".join([*lines, _summary(results)]) + "\n"


def _annotation(result: CheckResult, finding: Finding, place: Place | None) -> str:
    properties = {
        "file": place.path.as_posix() if place else None,
        "line": str(place.line) if place and place.line else None,
        "title": finding.code,
    }
    shown = ",".join(f"{key}={one_line(value).translate(PROPERTY)}" for key, value in properties.items() if value)
    lines = (f"{subject(result, place)}{finding.message}", finding.hint)
    text = "\n".join(one_line(line) for line in lines if line)
    return f"::{COMMANDS[finding.severity]} {shown}::{text.translate(DATA)}"


def _summary(results: Sequence[CheckResult]) -> str:
    # Counts only: the runner would obey a command that a name smuggles into plain output.
    counted = found([finding for result in results for finding in result.findings]) or "nothing found"
    failed = sum(not result.ok for result in results)
    return f"weightscope check: {words.plural(len(results), 'model')}, {failed:,} failed; {counted}"
