"""What a document says below its title."""

from __future__ import annotations

from weightscope.errors import WeightscopeError
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


def unknown(error: WeightscopeError) -> Markup:
    """Why a section has nothing to say."""
    return element("p", f"Not known: {error}", class_="note")
