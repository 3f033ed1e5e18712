"""A badge as shields.io's endpoint reads it: what `check` and `params` say of one MODEL, in a word."""

from __future__ import annotations

from weightscope.analyses.checking import CheckResult
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.ci_json import ci_json
from weightscope.output.overview import found


def check_badge(result: CheckResult) -> str:
    """ok, or how many errors and warnings there are; red where the check failed."""
    serious = found([finding for finding in result.findings if finding.severity != "info"])
    if result.ok:
        return _badge("weightscope", serious or "ok", "yellow" if serious else "brightgreen")
    return _badge("weightscope", found(result.findings), "red")


def params_badge(summary: Summary) -> str:
    """The number of parameters, or that nothing tells it."""
    total = summary.parameters.total
    if total is None:
        return _badge("parameters", "unknown", "lightgrey")
    return _badge("parameters", words.short(total), "blue")


def _badge(label: str, message: str, color: str) -> str:
    return ci_json({"schemaVersion": 1, "label": label, "message": message, "color": color})
