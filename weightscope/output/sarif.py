"""Verdicts as SARIF 2.1.0, which GitHub code scanning and other viewers of analysis results read."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from weightscope import __version__
from weightscope.analyses.checking import CheckResult
from weightscope.errors import one_line
from weightscope.escapes import json_text
from weightscope.findings import CODES, Finding, Severity
from weightscope.output.explain import entry
from weightscope.output.places import Place, located

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
PROJECT = "https://pypi.org/project/weightscope-cli/"
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
    seen: Counter[str] = Counter()
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
        "results": [_result(result, *located_, seen) for result in results for located_ in located(result)],
        "properties": {
            "models": [
                {"reference": result.reference, "ok": result.ok, "checked": msgspec.to_builtins(result.checked)}
                for result in results
            ]
        },
    }
    return json_text(_encodable({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})) + "\n"


def _rule(code: str) -> dict[str, Any]:
    text = _message(entry(code))
    return {
        "id": code,
        "shortDescription": {"text": _message(CODES[code])},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "warning" if code in USUAL_WARNINGS else "error"},
    }


def _result(result: CheckResult, finding: Finding, place: Place | None, seen: Counter[str]) -> dict[str, Any]:
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
        "partialFingerprints": {"weightscope/v1": _fingerprint(result, finding, place, seen)},
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


def _fingerprint(result: CheckResult, finding: Finding, place: Place | None, seen: Counter[str]) -> str:
    """What stays as it is while counts and wording in the message change; the n-th of its like has n behind it."""
    where = place.path.as_posix() if place else result.reference
    parts = (finding.code, where, *finding.tensors, "", *finding.config)
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"


def _message(text: str) -> str:
    """Literal text: in SARIF braces are placeholders unless doubled (§3.11.5), and `[a](1)` is a link (§3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _encodable(value: Any) -> Any:
    """The value with lone surrogates spelled out: many readers of SARIF refuse them even as escapes."""
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
