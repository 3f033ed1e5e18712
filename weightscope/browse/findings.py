"""The screen of findings: a list, and below it what the chosen one means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from weightscope.browse.detail import Detail
from weightscope.browse.text import STYLES
from weightscope.errors import one_line
from weightscope.findings import Finding
from weightscope.output.document import Document
from weightscope.output.explain import explanation
from weightscope.output.layout import SEVERITY_STYLES
from weightscope.output.words import plural

# Findings in the list, and tensors of one that are named; further ones are counted.
MOST = 500
NAMED = 12


class FindingsScreen(ModalScreen[Finding | None]):
    """Gives the finding whose tensors are to be shown, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Go to its tensors", priority=True),
        Binding("escape,f,q", "dismiss", "Close", key_display="esc"),
    ]
    DEFAULT_CSS = """
    FindingsScreen { align: center middle; }
    FindingsScreen > Vertical { width: 100%; height: 100%; background: $surface; }
    FindingsScreen .title { height: 1; padding: 0 1; text-style: bold; }
    FindingsScreen OptionList { height: auto; max-height: 40%; border: none; padding: 0 1; }
    FindingsScreen OptionList:focus { border: none; }
    FindingsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    FindingsScreen Detail { height: 1fr; border-top: solid $primary; }
    """

    def __init__(self, findings: Sequence[Finding], checked: str) -> None:
        super().__init__()
        self._findings, self._checked = findings, checked

    def compose(self) -> ComposeResult:
        """The list, the text and the keys."""
        shown = self._findings[:MOST]
        more = f"; the first {MOST}" if len(self._findings) > MOST else ""
        found = f"{plural(len(self._findings), 'finding')}{more}" if shown else "No findings"
        with Vertical():
            yield Static(f"{found}   {self._checked}", classes="title", markup=False)
            yield OptionList(*(Option(_line(finding)) for finding in shown), markup=False)
            yield Detail()
            yield Footer()

    def on_mount(self) -> None:
        """Begin at the first."""
        options = self.query_one(OptionList)
        options.display = bool(self._findings)
        options.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show what the finding says and means."""
        documents = tuple(_documents(self._findings[event.option_index]))
        self.query_one(Detail).show(lambda _: documents)

    def action_choose(self) -> None:
        """Go to the tensors of the chosen finding."""
        place = self.query_one(OptionList).highlighted
        self.dismiss(None if place is None else self._findings[place])


def _line(finding: Finding) -> Content:
    style = SEVERITY_STYLES[finding.severity]
    return Content.assemble(
        (f"{finding.severity:<8}", STYLES.get(style, style)),
        (f"{finding.code}  ", "bold"),
        one_line(finding.message),
    )


def _documents(finding: Finding) -> Iterable[Document]:
    """The finding with all that it says, then the page of its code."""
    facts = [("Finding", finding.message), *_labelled("Tensors", finding.tensors)]
    for label, value in (("Expected", finding.expected), ("Stored", finding.actual)):
        if value is not None:
            facts.append((label, str(value)))
    if finding.config:
        facts.append(("Config", ", ".join(finding.config)))
    if finding.hint:
        facts.append(("What to do", finding.hint))
    yield Document(
        data=None,
        title=finding.code,
        subtitle=finding.severity,
        facts=tuple(facts),
    )
    yield replace(explanation([finding.code]), title="What this code means")


def _labelled(label: str, names: Sequence[str]) -> Iterable[tuple[str, str]]:
    """A name a line, the first with the label; of many the first few."""
    for number, name in enumerate(names[:NAMED]):
        yield "" if number else label, name
    if len(names) > NAMED:
        yield "", f"and {len(names) - NAMED:,} more"
