"""HTML that is built, never pasted: whatever is no markup of ours is escaped here, and only here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from weightscope.escapes import visible

# Elements without contents or an end.
VOID = {"meta", "input", "br"}


class Html(str):
    """Markup that this module made."""

    __slots__ = ()


Child = str | Html | Iterable["Child"] | None


def element(tag: str, /, *children: Child, **attributes: str | None) -> Html:
    """An element; `class_` and `for_` are spelled without the underscore, and others with a hyphen for each."""
    named = (
        f' {name.rstrip("_").replace("_", "-")}="{escape(visible(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    start = f"<{tag}{''.join(named)}>"
    return Html(start if tag in VOID else f"{start}{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Html:
    """Children one after another: text escaped, with what would show nothing spelled out."""
    return Html("".join(map(_text, children)))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    return escape(visible(child)) if isinstance(child, str) else joined(child)
