"""The tree and the pane beside it: what the cursor is on is told, and its values are read when asked for."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from weightscope.api.model import Model
from weightscope.browse.calls import called
from weightscope.browse.detail import Detail, Documents
from weightscope.browse.nodes import Listed, Node
from weightscope.browse.pages import Page, Pages
from weightscope.browse.reading import Reading
from weightscope.browse.status import Status
from weightscope.browse.tree import TensorTree
from weightscope.browse.values_document import failure_document, values_documents
from weightscope.browse.views import Views
from weightscope.errors import WeightscopeError
from weightscope.escapes import visible

# Seconds between two looks at how far a reading is.
TICK = 0.2


class Panes(Horizontal):
    """Of one model; `pages` are what the right pane shows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "values", "Values"),
        Binding("s", "sort", "Sort"),
        Binding("b", "view", "Role/name"),
        Binding("y", "copy", "Copy", show=False),
    ]
    DEFAULT_CSS = """
    Panes TensorTree { width: 42%; max-width: 72; border-right: solid $panel; }
    Panes.-zoomed TensorTree { display: none; }
    """

    def __init__(self, model: Model, pages: Pages) -> None:
        super().__init__()
        self._checkpoint, self._pages = model.checkpoint, pages
        self._views = Views(model)
        self._is_by_name = False
        self._reading: Reading | None = None
        self._values: dict[str, Documents] = {}

    def compose(self) -> ComposeResult:
        """Both panes."""
        yield TensorTree(self._views.by_role)
        yield Detail()

    async def on_mount(self) -> None:
        """Show the components."""
        await self.tensors.show(self._views.by_role, largest_first=False)
        self.tensors.focus()

    def on_unmount(self) -> None:
        """Read no more."""
        self._stop_reading()

    @property
    def tensors(self) -> TensorTree:
        """The left pane."""
        return self.query_one(TensorTree)

    @property
    def detail(self) -> Detail:
        """The right pane."""
        return self.query_one(Detail)

    @property
    def chosen(self) -> Listed | None:
        """The tensor that the cursor is on."""
        node = self.tensors.cursor_node
        return node.data.listed if node and node.data else None

    @property
    def is_reading(self) -> bool:
        """Whether values are being read."""
        return self._reading is not None

    def _say(self, text: str) -> None:
        self.screen.query_one(Status).say(text)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Node]) -> None:
        """Show what the cursor is on; values of another tensor are no longer wanted."""
        if event.node.data is None:
            return
        if self._reading and self._reading.listed is not event.node.data.listed:
            self._stop_reading()
        self._describe(event.node)

    def on_tree_node_selected(self, event: Tree.NodeSelected[Node]) -> None:
        """Give a tensor the whole screen."""
        if event.node.data and event.node.data.listed:
            self.add_class("-zoomed")
            self.detail.focus()

    @work(exclusive=True, group="describe")
    async def _describe(self, node: TreeNode[Node], *, top: bool = True) -> None:
        try:
            page = await called(partial(self._page, node))
        except WeightscopeError as error:
            self._say(str(error))
            return
        listed = node.data.listed if node.data else None
        values = self._values.get(listed.row.name) if listed else None
        self.detail.show(lambda width: (page(width), *(values(width) if values else ())), top=top)

    def _page(self, node: TreeNode[Node]) -> Page:
        """That of the model, of a tensor, or of what has others below it."""
        assert node.data is not None
        if node.data.listed:
            return self._pages.of_tensor(node.data.listed)
        children = self.tensors.children_of(node.data)
        if node.data is self.tensors.root.data:
            return self._pages.of_model(node.data, children)
        return self._pages.of_node(self.tensors.path_of(node), node.data, children)

    def leave(self) -> bool:
        """Stop reading, or show the tree again; whether there was something to leave."""
        left = self.is_reading or self.has_class("-zoomed")
        if self.is_reading:
            self._stop_reading()
        else:
            self.remove_class("-zoomed")
        self.tensors.focus()
        return left

    def action_values(self) -> None:
        """Read the values of the tensor under the cursor."""
        if self.chosen is None:
            self._say("Values are read of one tensor: go to one first")
        else:
            self._stop_reading()
            self._reading = Reading(self._checkpoint, self.chosen)
            self._read(self._reading)

    @work(group="values")
    async def _read(self, reading: Reading) -> None:
        timer = self.set_interval(TICK, lambda: self._say(f"Reading values: {reading.share:.0%}   Esc stops"))
        try:
            values = await called(reading.values)
        except (WeightscopeError, OSError) as error:
            failure = failure_document(error)
            self._show_values(reading, lambda _: (failure,))
        else:
            if values is not None:
                self._show_values(reading, partial(values_documents, values))
        finally:
            timer.stop()
            if self._reading in (reading, None):
                self._reading = None
                self._say("")

    def _show_values(self, reading: Reading, documents: Documents) -> None:
        """Add them to the page, if the cursor is still there; those that were read last are kept."""
        self._values = {reading.listed.row.name: documents}
        node = self.tensors.cursor_node
        if node and node.data and node.data.listed is reading.listed:
            self._describe(node, top=False)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading.stop()
            self._reading = None

    @work(exclusive=True, group="view")
    async def action_view(self) -> None:
        """Change between the tree by role and that by name."""
        self._is_by_name = not self._is_by_name
        await self._show_tree()

    @work(exclusive=True, group="view")
    async def action_sort(self) -> None:
        """Change between the largest first and the order of the forward pass."""
        self.tensors.largest_first = not self.tensors.largest_first
        await self._show_tree()

    async def _show_tree(self) -> None:
        chosen, largest_first = self.chosen, self.tensors.largest_first
        root = await called(lambda: self._views.by_name if self._is_by_name else self._views.by_role)
        await self.tensors.show(root, largest_first=largest_first)
        if chosen:
            await self.tensors.reveal(chosen.row.name)
        order = "largest first" if largest_first else "in the order of the forward pass"
        self._say(f"By {'name' if self._is_by_name else 'component and role'}, {order}")

    def action_copy(self) -> None:
        """Hand the tensor's name to the terminal, as it is shown: a name with line breaks could be a command."""
        if self.chosen:
            name = visible(self.chosen.row.name)
            self.app.copy_to_clipboard(name)
            self._say(f"Copied {name}")
