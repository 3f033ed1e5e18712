"""Verdicts as SARIF 2.1.0, which GitHub code scanning and other viewers of analysis results read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from weightscope import __version__
from weightscope.analyses.checking import CheckResult
from weightscope.errors import one_line
from weightscope.findings import CODES, Finding, Severity
from weightscope.output.ci_json import PROJECT, ci_json
from weightscope.output.explain import entry
from weightscope.output.fingerprints import Fingerprints
from weightscope.output.places import Place, all_located

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
# What a code usually is, as docs/findings.md says; a result has its own level. Others are errors.
USUAL_WARNINGS = {
    "unexpected-tensor",
    "dtype-mismatch",
    "unexpected-shard",
    "size-mismatch",
    "all-zero",
    "constant-tensor",
    "convention-mismatch",
    "value-outlier",
}
RULE_INDEX = {code: number for number, code in enumerate(CODES)}


def to_sarif(results: Sequence[CheckResult]) -> str:
    """One run over all MODELs."""
    fingerprints = Fingerprints()
    run = {
        "tool": {
            "driver": {
                "name": "weightscope",
                "version": __version__,
                "informationUri": PROJECT,
                "rules": [_rule(code) for code in CODES],
            }
        },
        "invocations": [{"executionSuccessful": True}],
        "results": [_result(*each, fingerprints.of(*each)) for each in all_located(results, "GITHUB_WORKSPACE")],
        "properties": {
            "models": [
                {"reference": result.reference, "ok": result.ok, "checked": msgspec.to_builtins(result.checked)}
                for result in results
            ]
        },
    }
    return ci_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str) -> dict[str, Any]:
    text = _message(entry(code))
    return {
        "id": code,
        "shortDescription": {"text": _message(CODES[code])},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "warning" if code in USUAL_WARNINGS else "error"},
    }


def _result(result: CheckResult, finding: Finding, place: Place | None, fingerprint: str) -> dict[str, Any]:
    details = {
        "model": result.reference,
        "expected": msgspec.to_builtins(finding.expected),
        "actual": msgspec.to_builtins(finding.actual),
        "config": list(finding.config),
        "hint": finding.hint,
    }
    text = "\n".join(one_line(line) for line in (finding.message, finding.hint) if line)
    return {
        "ruleId": finding.code,
        "ruleIndex": RULE_INDEX[finding.code],
        "level": LEVELS[finding.severity],
        "message": {"text": _message(text)},
        "locations": _locations(finding, place),
        "partialFingerprints": {"weightscope/v1": fingerprint},
        "properties": {key: value for key, value in details.items() if value not in (None, [], "")},
    }


def _locations(finding: Finding, place: Place | None) -> list[dict[str, Any]]:
    location: dict[str, Any] = {}
    if place:
        location["physicalLocation"] = {"artifactLocation": _artifact(place)}
        if place.line:
            location["physicalLocation"]["region"] = {"startLine": place.line}
    # A set by the schema; cut to one line, two long names can be the same.
    names = dict.fromkeys(one_line(name) for name in finding.tensors)
    if names:
        location["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "member"} for name in names]
    return [location] if location else []


def _artifact(place: Place) -> dict[str, str]:
    if place.path.is_absolute():
        return {"uri": place.path.as_uri()}
    return {"uri": quote(os.fsencode(place.path.as_posix())), "uriBaseId": "%SRCROOT%"}


def _message(text: str) -> str:
    """Literal text: in SARIF braces are placeholders unless doubled (§3.11.5), and `[a](1)` is a link (§3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")
