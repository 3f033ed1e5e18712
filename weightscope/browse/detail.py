"""The pane beside the tree: documents laid out for its width."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from weightscope.browse.text import content_of
from weightscope.output.document import Document

Documents = Callable[[int], Iterable[Document]]


class Detail(VerticalScroll):
    """Shows what was last given to `show`, and lays it out again when its width changes."""

    DEFAULT_CSS = """
    Detail {
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    Detail Static { width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._documents: Documents = lambda _: ()
        self._laid_out = 0

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static(markup=False)

    @property
    def text(self) -> str:
        """What is shown."""
        content = self.query_one(Static).content
        return content.plain if isinstance(content, Content) else ""

    def show(self, documents: Documents, *, top: bool = True) -> None:
        """The documents that `documents` makes for a width in characters; from the `top`, or where the pane is."""
        self._documents = documents
        self._lay_out()
        if top:
            self.scroll_home(animate=False)

    def on_resize(self, _: events.Resize) -> None:
        """Lay out for another width."""
        if self._laid_out != self._columns:
            self._lay_out()

    @property
    def _columns(self) -> int:
        return max(20, self.scrollable_content_region.width)

    def _lay_out(self) -> None:
        self._laid_out = self._columns
        self.query_one(Static).update(content_of(self._documents(self._laid_out), self._laid_out))
