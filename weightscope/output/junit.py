"""Verdicts as JUnit XML, which most CI systems show as test results."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from weightscope.analyses.checking import CheckResult
from weightscope.errors import one_line
from weightscope.escapes import log_line
from weightscope.findings import SEVERITIES, Finding, Severity
from weightscope.output import words
from weightscope.output.overview import looked_at

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def to_junit(results: Sequence[CheckResult]) -> str:
    """A suite a MODEL, a case a code that was found; a MODEL without findings has one case, which passes."""
    root = Element("testsuites", name="weightscope")
    for result in results:
        _suite(root, result)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    indent(root)
    return f"{DECLARATION}{tostring(root, encoding='unicode')}\n"


def _suite(root: Element, result: CheckResult) -> None:
    name = one_line(result.reference)
    suite = SubElement(root, "testsuite", name=name)
    for code in dict.fromkeys(finding.code for finding in result.findings):
        case = SubElement(suite, "testcase", classname=name, name=code)
        _fill(case, [finding for finding in result.findings if finding.code == code], _failing(result))
    if not result.findings:
        case = SubElement(suite, "testcase", classname=name, name="check")
        SubElement(case, "system-out").text = f"Checked {looked_at(result)}."
    failures = sum(case.find("failure") is not None for case in suite)
    counts = {"tests": len(suite), "failures": failures, "errors": 0, "skipped": 0}
    for key, count in counts.items():
        suite.set(key, str(count))


def _failing(result: CheckResult) -> Severity | None:
    """The severity that fails the MODEL: the worst there is, since a result says only that something did."""
    return None if result.ok else min((f.severity for f in result.findings), key=SEVERITIES.index, default=None)


def _fill(case: Element, findings: Sequence[Finding], failing: Severity | None) -> None:
    # One failure a case, as most readers show only the first.
    failed = [finding for finding in findings if finding.severity == failing]
    if failed:
        count = f"{words.plural(len(failed), 'finding')}, first: " if len(failed) > 1 else ""
        failure = SubElement(case, "failure", type=failed[0].code, message=one_line(f"{count}{failed[0].message}"))
        failure.text = "\n\n".join(_text(finding) for finding in failed)
    others = [finding for finding in findings if finding.severity != failing]
    if others:
        SubElement(case, "system-out").text = "\n\n".join(f"{f.severity}: {_text(f)}" for f in others)


def _text(finding: Finding) -> str:
    """The message, and each thing that is known on a line of its own."""
    details = (
        *(("tensors", name) for name in finding.tensors),
        ("expected", finding.expected),
        ("actual", finding.actual),
        ("config", ", ".join(finding.config)),
        ("hint", finding.hint),
    )
    lines = [finding.message, *(f"{label}: {value}" for label, value in details if value not in (None, ""))]
    return "\n".join(log_line(one_line(line)) for line in lines)
