"""The line in which a search is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
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
        height: 1;
        border: none;
        padding: 0 1;
    }
    """

    def __init__(self) -> None:
        super().__init__(placeholder="Search: part of a name, a pattern such as *.0.*, or a role", compact=True)
        # A line over which nothing blinks sends nothing.
        self.cursor_blink = False
        self.display = False
        self._before: Widget | None = None

    def begin(self) -> None:
        """Show the line, empty; it has the focus at once, so that no key that follows is lost."""
        self.value = ""
        self._before = self.screen.focused
        self.display = True
        self.screen.set_focus(self)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for what was typed."""
        event.stop()
        self._end(self.value)

    def action_give_up(self) -> None:
        """Look for nothing."""
        self._end("")

    def _end(self, typed: str) -> None:
        self.screen.set_focus(self._before)
        self.display = False
        self.post_message(self.Asked(typed))
