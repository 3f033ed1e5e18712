"""Findings in full: message, what was expected, what to do, and the tensors."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.findings import Finding, most_severe_first
from weightscope.output.overview import NOUNS
from weightscope.output.web.documents import facts_html
from weightscope.output.web.elements import Markup, element

# Findings in full, and names or titles of one finding that are listed.
MOST, MOST_NAMES = 200, 50
# So many names need no click.
FEW_NAMES = 4


def findings_list(findings: Sequence[Finding]) -> Markup:
    """Each finding, the most severe first; the place of each in `findings` is its id (`finding-3`)."""
    if not findings:
        return element("p", "None.")
    ordered = most_severe_first(enumerate(findings), lambda item: item[1].severity)
    left = len(ordered) - MOST
    more = element("li", f"and {left:,} more") if left > 0 else ""
    return element("ol", *(_finding(finding, place) for place, finding in ordered[:MOST]), more, class_="findings")


def _finding(finding: Finding, place: int) -> Markup:
    facts = (
        ("Expected", _value(finding.expected)),
        ("Actual", _value(finding.actual)),
        ("Config", ", ".join(finding.config)),
        ("What to do", finding.hint),
    )
    return element(
        "li",
        element("p", badge(finding), " ", element("code", finding.code)),
        element("p", finding.message),
        facts_html((label, text) for label, text in facts if text),
        _names(finding.tensors),
        id=f"finding-{place}",
        class_=finding.severity,
    )


def badge(finding: Finding, *, code: bool = False) -> Markup:
    """The severity, in the word that the commands use, and the `code` where nothing beside it says that."""
    noun = NOUNS[finding.severity]
    return element("span", f"{noun}: {finding.code}" if code else noun, class_=f"badge {finding.severity}")


def _names(names: Sequence[str]) -> Markup:
    items = [element("li", element("code", name)) for name in names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        items.append(element("li", f"and {len(names) - MOST_NAMES:,} more"))
    listed = element("ul", *items, class_="plain") if items else Markup()
    if len(names) <= FEW_NAMES:
        return listed
    return element("details", element("summary", f"{len(names):,} tensors or groups of tensors"), listed)


def _value(value: object) -> str:
    if value is None:
        return ""
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
