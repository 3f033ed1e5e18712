"""The whole page: its sections between head and scripts, in one file that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Literal

import msgspec

from weightscope import __version__
from weightscope.escapes import json_text
from weightscope.output.report.policy import policy
from weightscope.output.web.elements import Markup, element
from weightscope.output.web.style import style

ASSETS = Path(__file__).parent / "assets"
# `incomplete` where nothing fails, and something that was asked for could not be looked at.
Kind = Literal["ok", "failed", "incomplete"]
# The order in which they run.
SCRIPTS = (
    "vendor/d3-hierarchy.min.js",
    "data.js",
    "words.js",
    "elements.js",
    "tree.js",
    "colours.js",
    "treemap.js",
    "keyboard.js",
    "details.js",
    "search.js",
    "main.js",
)
STYLES = ("page.css", "colours.css", "drawing.css", "treemap.css", "print.css")
# Of the library, which wants it with every copy.
LICENCE = "vendor/d3-hierarchy.LICENSE"
# What could end the block that holds the data, or begin something else in it.
JSON_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the page under a heading, reached by its name."""

    name: str
    heading: str
    body: Markup


def page(title: str, header: Markup, sections: Sequence[Section], data: object) -> str:
    """The file's text; `data` is what the scripts read."""
    scripts = [asset(name) for name in SCRIPTS]
    styles = [style(), *(asset(name) for name in STYLES)]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=Markup(policy(scripts, styles))),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{title} · weightscope"),
        *(element("style", Markup(text)) for text in styles),
    )
    body = element(
        "body",
        element("a", "Skip to the report", href="#report", class_="skip"),
        header,
        _navigation(sections),
        element("main", *map(_section, sections), id="report", class_="weightscope"),
        _footer(asset(LICENCE)),
        _data(data),
        *(element("script", Markup(script)) for script in scripts),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def page_header(title: str, subtitle: str, verdict: str, found: str, kind: Kind) -> Markup:
    """What stands above all sections: title, subtitle, the verdict in the colour of its kind, and what was found."""
    return element(
        "header",
        element("p", "weightscope report", class_="kicker"),
        element("h1", title),
        element("p", subtitle, class_="subtitle"),
        element("p", element("strong", verdict, class_=f"verdict {kind}"), " ", found),
    )


@cache
def asset(name: str) -> str:
    """A script or a style as it is shipped."""
    return (ASSETS / name).read_text(encoding="utf-8")


def _footer(licence: str) -> Markup:
    """Who wrote the page, and the licence of what others wrote of it."""
    written = element("p", f"Written by weightscope {__version__}. This page loads nothing.")
    told = element("details", element("summary", "Licence of d3-hierarchy"), element("pre", Markup(escape(licence))))
    return element("footer", written, told)


def _navigation(sections: Sequence[Section]) -> Markup:
    links = [element("li", element("a", section.heading, href=f"#{section.name}")) for section in sections]
    return element("nav", element("ul", *links), aria_label="Sections", class_="sections")


def _section(section: Section) -> Markup:
    heading = element("h2", section.heading, id=f"{section.name}-heading")
    return element("section", heading, section.body, id=section.name, aria_labelledby=f"{section.name}-heading")


def _data(data: object) -> Markup:
    text = json_text(data, indent=None).translate(JSON_ESCAPES)
    return element("script", Markup(text), type="application/json", id="data")
