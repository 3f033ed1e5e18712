"""What a document says below its title."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.errors import WeightscopeError
from weightscope.findings import Finding
from weightscope.output.document import Document
from weightscope.output.web.documents import facts_html, table_html
from weightscope.output.web.elements import Markup, element, together


def said(document: Document, caption: str) -> Markup:
    """Facts, table, notes and closing; findings have a section of their own."""
    return together(
        facts_html(document.facts),
        table_html(document.table, caption=caption, exact=document.exact) if document.table.rows else "",
        *(element("p", note, class_="note") for note in document.notes),
        element("p", document.closing, class_="note") if document.closing else "",
    )


def instead(what: str, error: WeightscopeError, findings: Sequence[Finding] = ()) -> Markup:
    """Why a section has nothing to say: `what` is wrong ("Cannot be read"), and the reason.

    Where the reason is one of the `findings`, a link to it stands instead.
    """
    place = next((place for place, finding in enumerate(findings) if finding.message == error.what), None)
    if place is None:
        return element("p", f"{what}: {error}", class_="note")
    link = element("a", findings[place].code, href=f"#finding-{place}")
    return element("p", f"{what}: see the finding ", link, ".", class_="note")
