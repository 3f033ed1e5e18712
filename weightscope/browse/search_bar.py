"""The line in which a search is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class SearchBar(Input):
    """Hidden until a search begins."""

    class Asked(Message):
        """What is to be looked for; nothing where the search was given up."""

        def __init__(self, typed: str) -> None:
            super().__init__()
            self.typed = typed

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "Cancel", show=False)]
    DEFAULT_CSS = """
    SearchBar {
        display: none;
        height: 1;
        border: none;
        padding: 0 1;
    }
    SearchBar.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(placeholder="Search: part of a name, a pattern such as *.0.*, or a role", compact=True)

    def begin(self) -> None:
        """Show the line, empty."""
        self.value = ""
        self.add_class("-shown")
        self.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for what was typed."""
        event.stop()
        self._end(self.value)

    def action_give_up(self) -> None:
        """Look for nothing."""
        self._end("")

    def _end(self, typed: str) -> None:
        self.remove_class("-shown")
        self.post_message(self.Asked(typed))
