"""The tree widget: filled level by level as it is opened, names at the left and sums at the right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from weightscope.browse.calls import called
from weightscope.browse.nodes import Amounts, Node, by_size, in_runs
from weightscope.errors import one_line
from weightscope.output import words

# Characters of a label; the pane beside the tree has all of a name.
MOST_CHARACTERS = 200
# Columns of a number with its unit, and how wide the widget is for both parameters and bytes.
NUMBER = 8
WIDE = 44
UNKNOWN = "?"


class TensorTree(Tree[Node]):
    """Nodes are made of `Node`s when their parent is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "open", "Open", show=False),
        Binding("left,h", "close", "Close", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("home,g", "scroll_home", "First", show=False),
        Binding("end,G", "scroll_end", "Last", show=False),
    ]
    DEFAULT_CSS = """
    TensorTree {
        overflow-x: hidden;
        padding: 0;
        scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, root: Node) -> None:
        super().__init__(Text(""), root)
        self.guide_depth = 2
        self.largest_first = False
        self._below: dict[Node, Sequence[Node]] = {}

    async def show(self, root: Node, *, largest_first: bool) -> None:
        """Another tree, or the same in another order, with its first level open."""
        self.largest_first = largest_first
        self._below = {}
        await called(partial(self.children_of, root))
        self.move_cursor(None)
        self.reset(Text(one_line(root.label, MOST_CHARACTERS)), root)
        self._fill(self.root)
        self.root.expand()
        self._go_to(self.root)

    async def reveal(self, name: str) -> bool:
        """Open what the tensor of that name lies in, and put the cursor there; False where there is none."""
        path = await called(partial(self._path_to, name))
        here = self.root
        for node in path:
            self._fill(here)
            here.expand()
            below = next((child for child in here.children if child.data is node), None)
            if below is None:
                return False
            here = below
        if path:
            self._go_to(here)
        return bool(path)

    def _go_to(self, node: TreeNode[Node]) -> None:
        # Nodes know their lines only once these are counted, which asking for the last one does.
        if self.last_line >= 0:
            self.move_cursor(node)

    def children_of(self, node: Node) -> Sequence[Node]:
        """What is shown below a node, made once; of large ones it takes a while."""
        made = self._below
        if node not in made:
            children = node.children()
            made.setdefault(node, in_runs(by_size(children) if self.largest_first else children))
        return made[node]

    def path_of(self, node: TreeNode[Node]) -> tuple[str, ...]:
        """Its label, with those of what it lies in before it."""
        labels: list[str] = []
        here: TreeNode[Node] | None = node
        while here is not None and here.parent is not None:
            labels.insert(0, str(here.label))
            here = here.parent
        return tuple(labels)

    def _path_to(self, name: str) -> list[Node]:
        """The nodes from below the root to a tensor's own; none where it is not there."""
        path: list[Node] = []
        here = self.root.data
        while here is not None and here.listed is None:
            here = next((child for child in self.children_of(here) if child.holds(name)), None)
            if here is None:
                return []
            path.append(here)
        return path

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Node]) -> None:
        """Fill a node that is opened for the first time, while keys are heard."""
        if not event.node.children:
            self.run_worker(self._fill_soon(event.node))

    async def _fill_soon(self, node: TreeNode[Node]) -> None:
        if node.data is not None:
            await called(partial(self.children_of, node.data))
            self._fill(node)

    def _fill(self, node: TreeNode[Node]) -> None:
        if node.children or node.data is None:
            return
        for child in self.children_of(node.data):
            label = Text(one_line(child.label, MOST_CHARACTERS))
            node.add(label, child, allow_expand=child.listed is None)

    def action_open(self) -> None:
        """Open the node, or go to the first below it."""
        node = self.cursor_node
        if node is None or not node.allow_expand:
            return
        if node.is_expanded:
            self.action_cursor_down()
        else:
            node.expand()

    def action_close(self) -> None:
        """Close the node, or go to the one above it."""
        node = self.cursor_node
        if node is not None and node.allow_expand and node.is_expanded:
            node.collapse()
        elif node is not None and node.parent is not None:
            self.move_cursor(node.parent)

    def render_label(self, node: TreeNode[Node], base_style: Style, style: Style) -> Text:
        """The label cut to its room, then parameters and, where there is room, bytes."""
        room = self.get_label_width(node)
        icon = "  " if not node.allow_expand else self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
        numbers = _numbers(node.data.amounts, wide=self.size.width >= WIDE) if node.data else ""
        left = max(1, room - cell_len(icon) - len(numbers))
        label = _cut(str(node.label), left, from_start=not node.allow_expand)
        return Text.assemble((icon, base_style), (label, style), (numbers, style))

    def get_label_width(self, node: TreeNode[Node]) -> int:
        """All that the guides leave."""
        depth, above = 0, node.parent
        while above is not None:
            depth, above = depth + 1, above.parent
        return max(NUMBER + 4, self.scrollable_content_region.width - depth * self.guide_depth)


def _numbers(amounts: Amounts, *, wide: bool) -> str:
    parameters = UNKNOWN if amounts.parameters is None else words.short(amounts.parameters)
    size = words.size(amounts.bytes) if amounts.bytes else ""
    return f"{parameters:>{NUMBER}}" + (f"{size:>{NUMBER + 1}}" if wide else "")


def _cut(text: str, room: int, *, from_start: bool) -> str:
    """The text in exactly so many cells; of a tensor's name the end is kept, of other labels the beginning."""
    if cell_len(text) <= room:
        return set_cell_size(text, room)
    if not from_start:
        return set_cell_size(text, room - 1) + "…"
    while cell_len(text) >= room:
        text = text[1:]
    return set_cell_size(f"…{text}", room)
