"""The line above the keys: what was just said, or the search that goes on."""

from __future__ import annotations

from textual.widgets import Static

from weightscope.errors import one_line


class Status(Static):
    """Hidden while there is nothing to say."""

    DEFAULT_CSS = """
    Status {
        height: 1;
        padding: 0 1;
        color: $text-accent;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        display: none;
    }
    Status.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._kept = ""

    @property
    def text(self) -> str:
        """What is shown."""
        return str(self.content) if self.has_class("-shown") else ""

    def say(self, text: str) -> None:
        """Show a text; an empty one gives way to what is kept."""
        shown = text or self._kept
        self.update(one_line(shown))
        self.set_class(bool(shown), "-shown")

    def keep(self, text: str) -> None:
        """Show a text whenever nothing else is said."""
        self._kept = text
        self.say("")
