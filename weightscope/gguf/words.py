"""Findings in the words of a GGUF file, which has metadata in the place of a config.json."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from weightscope.findings import Finding

ELSEWHERE, HERE = "config.json", "the metadata"
# Files that a GGUF file has no need of.
BOTH = "config.json nor generation_config.json"


def of_metadata(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same findings, saying where the settings are that they speak of."""
    return tuple(
        replace(finding, message=_said(finding.message), hint=_said(finding.hint) if finding.hint else finding.hint)
        for finding in findings
    )


def _said(text: str) -> str:
    return text.replace(f"neither {BOTH} has", f"{HERE} lacks").replace(ELSEWHERE, HERE)
