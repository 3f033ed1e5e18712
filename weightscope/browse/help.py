"""The screen of help: every key in a line."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from weightscope.browse.detail import Detail
from weightscope.output.document import Document

KEYS = (
    ("↑ ↓", "move; also k j, PgUp PgDn, Home End"),
    ("→ ←", "open and close; also l h, Space"),
    ("Enter", "open, or show a tensor on the whole screen"),
    ("Tab", "go to the other pane, where ↑ ↓ scroll"),
    ("/", "search: part of a name, a pattern (*, ?, {0-3}), or a role"),
    ("n N", "next and previous match"),
    ("b", "by component and role, or by name"),
    ("s", "largest first, or in the order of the forward pass"),
    ("v", "read the values of the tensor; Esc stops"),
    ("f", "findings of check, with their pages; Enter goes to the tensors"),
    ("y", "copy the name, where the terminal can"),
    ("t", "dark or light"),
    ("Esc", "stop reading, or back to the tree"),
    ("q", "quit"),
)


class HelpScreen(ModalScreen[None]):
    """Closed by any of the keys that open or close something."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "Close")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen Detail {
        width: 76;
        max-width: 100%;
        height: auto;
        max-height: 100%;
        border: round $primary;
        background: $surface;
    }
    """

    def compose(self) -> ComposeResult:
        """The text."""
        yield Detail()

    def on_mount(self) -> None:
        """Fill it."""
        document = Document(data=None, title="Keys", subtitle="Esc closes", facts=KEYS)
        self.query_one(Detail).show(lambda _: [document])
