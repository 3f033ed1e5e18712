"""The application: the tree, the pane beside it, search, and the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Footer, Static, Tree

from weightscope.api.model import Model
from weightscope.browse.detail import Detail
from weightscope.browse.finding_names import find_names
from weightscope.browse.findings import FindingsScreen
from weightscope.browse.help import HelpScreen
from weightscope.browse.matches import Matches
from weightscope.browse.nodes import Listed, Node
from weightscope.browse.pages import Pages
from weightscope.browse.reading import Reading
from weightscope.browse.search_bar import SearchBar
from weightscope.browse.tree import TensorTree
from weightscope.browse.values import Values
from weightscope.browse.values_document import values_documents
from weightscope.browse.views import Views
from weightscope.checkpoint.background import Background
from weightscope.errors import WeightscopeError, one_line
from weightscope.escapes import visible
from weightscope.findings import SEVERITIES, Finding
from weightscope.interrupt import INTERRUPTED
from weightscope.output.document import Document
from weightscope.output.words import plural

T = TypeVar("T")
# From so many columns on, both panes have room for names.
ROOMY = 100
# Seconds between two looks at how far a reading is.
TICK = 0.2
# Calls at a time that the keys do not wait for.
THREADS = 4


class BrowseApp(App[None]):
    """Shows one opened model; reads what is asked for, and writes nothing."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "match(1)", "Next"),
        Binding("N", "match(-1)", "Previous", show=False),
        Binding("v", "values", "Values"),
        Binding("f", "findings", "Findings"),
        Binding("s", "sort", "Sort"),
        Binding("b", "view", "Role/name"),
        Binding("y", "copy", "Copy", show=False),
        Binding("t", "theme", "Dark/light", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("escape", "leave", "Back", show=False),
        Binding("ctrl+c", "interrupt", "Interrupt", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, priority=True),
    ]
    CSS = """
    #title { height: 1; background: $panel; padding: 0 1; }
    #name { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    #verdict { width: auto; margin-left: 2; }
    #status { height: 1; padding: 0 1; color: $text-accent; text-wrap: nowrap; text-overflow: ellipsis; display: none; }
    #status.-shown { display: block; }
    TensorTree { width: 42%; border-right: solid $panel; }
    .-narrow TensorTree { width: 34; }
    .-zoomed TensorTree { display: none; }
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (ROOMY, "-roomy")]
        self.model = model
        self.views, self.pages = Views(model), Pages(model)
        self.matches: Matches | None = None
        self.findings: asyncio.Future[tuple[tuple[Finding, ...], int]]
        self._threads = Background(THREADS)
        self._reading: Reading | None = None
        self._values: dict[str, Values] = {}
        self._is_by_name = False
        self._running_loop: asyncio.AbstractEventLoop | None = None

    def compose(self) -> ComposeResult:
        """Title, panes, the lines of search, and the keys."""
        with Horizontal(id="title"):
            yield Static(self._title(), id="name", markup=False)
            yield Static("checking …", id="verdict", markup=False)
        with Horizontal(id="panes"):
            yield TensorTree(self.views.by_role)
            yield Detail()
        yield SearchBar()
        yield Static(id="status", markup=False)
        yield Footer()

    async def on_mount(self) -> None:
        """Show the tree; the check begins once it is painted."""
        self._running_loop = asyncio.get_running_loop()
        self.findings = self._running_loop.create_future()
        await self.tensors.show(self.views.by_role, largest_first=False)
        self.tensors.focus()
        self.call_after_refresh(self._check)

    def on_unmount(self) -> None:
        """Read no more."""
        self._stop_reading()

    @property
    def failure(self) -> Exception | None:
        """The fault that ended it."""
        return self._exception

    @property
    def tensors(self) -> TensorTree:
        """The left pane."""
        return self.query_one(TensorTree)

    @property
    def detail(self) -> Detail:
        """The right pane."""
        return self.query_one("#panes", Horizontal).query_one(Detail)

    @property
    def chosen(self) -> Listed | None:
        """The tensor that the cursor is on."""
        node = self.tensors.cursor_node
        return node.data.listed if node and node.data else None

    def _title(self) -> Content:
        document = self.pages.of_model()
        return Content.assemble((one_line(document.title), "bold"), "   ", one_line(document.subtitle))

    def _say(self, text: str) -> None:
        """Show a line above the keys, or hide it."""
        status = self.query_one("#status", Static)
        status.update(one_line(text))
        status.set_class(bool(text), "-shown")

    def _say_match(self) -> None:
        self._say(f"{self.matches}   n next  N previous  Esc clear" if self.matches else "")

    async def _call(self, call: Callable[[], T]) -> T:
        """What a call gives that takes its time, while keys are heard; at the end nobody waits for it."""
        return await asyncio.wrap_future(self._threads.submit(call))

    # The pane beside the tree.

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Node]) -> None:
        """Show what the cursor is on; values of another tensor are no longer wanted."""
        if event.node.data is None:
            return
        if self._reading and self._reading.listed is not event.node.data.listed:
            self._stop_reading()
        self._describe(event.node.data, is_root=event.node.is_root)

    def on_tree_node_selected(self, event: Tree.NodeSelected[Node]) -> None:
        """Give a tensor the whole screen."""
        if event.node.data and event.node.data.listed:
            self.query_one("#panes").add_class("-zoomed")
            self.detail.focus()

    @work(exclusive=True, group="describe")
    async def _describe(self, node: Node, *, is_root: bool) -> None:
        try:
            if is_root:
                document = await self._call(self.pages.of_model)
            elif node.listed:
                document = await self._call(partial(self.pages.of_tensor, node.listed))
            else:
                document = await self._call(lambda: self.pages.of_node(node, self.tensors.children_of(node)))
        except WeightscopeError as error:
            self._say(str(error))
            return
        values = self._values.get(node.listed.row.name) if node.listed else None
        self.detail.show(partial(_with_values, document, values))

    def action_leave(self) -> None:
        """End what was begun last: a reading, a look at one tensor, a search."""
        panes = self.query_one("#panes")
        if self._reading:
            self._stop_reading()
        elif panes.has_class("-zoomed"):
            panes.remove_class("-zoomed")
        else:
            self.matches = None
            self._say("")
        self.tensors.focus()

    # Values.

    def action_values(self) -> None:
        """Read the values of the tensor under the cursor."""
        if self.chosen is None:
            self._say("Values are read of one tensor: go to one first")
        else:
            self._stop_reading()
            self._reading = Reading(self.model.checkpoint, self.chosen)
            self._read(self._reading)

    @work(group="values")
    async def _read(self, reading: Reading) -> None:
        name = reading.listed.row.name
        timer = self.set_interval(TICK, lambda: self._say(f"Reading values: {reading.share:.0%}   Esc stops"))
        try:
            values = await reading.values(self._threads)
        except (WeightscopeError, OSError) as error:
            timer.stop()
            self._say(str(error))
        else:
            timer.stop()
            self._say_match()
            if values is not None:
                # One is kept: a vocabulary's histogram is small, and so is the wish to see it again.
                self._values = {name: values}
                if self.chosen is reading.listed:
                    document = await self._call(partial(self.pages.of_tensor, reading.listed))
                    self.detail.show(partial(_with_values, document, values), top=False)
        finally:
            if self._reading is reading:
                self._reading = None

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading.stop()
            self._reading = None

    # Search.

    def action_search(self) -> None:
        """Begin to type."""
        self.query_one(SearchBar).begin()

    @work(exclusive=True, group="search")
    async def on_search_bar_asked(self, event: SearchBar.Asked) -> None:
        """Go to the first match."""
        self.tensors.focus()
        if event.typed.strip():
            names = await self._call(partial(find_names, event.typed, self.model.inventory))
            await self._go_through(f"/{event.typed.strip()}", names, f"No tensor matches {event.typed.strip()!r}")

    async def _go_through(self, title: str, names: tuple[str, ...], none: str) -> None:
        self.matches = Matches(title, names) if names else None
        if self.matches:
            await self.tensors.reveal(self.matches.current)
            self._say_match()
        else:
            self._say(none)

    async def action_match(self, step: int) -> None:
        """Go to another match."""
        if self.matches:
            self.matches.move(step)
            await self.tensors.reveal(self.matches.current)
            self._say_match()
        else:
            self._say("Nothing was searched for: / begins")

    # Findings.

    @work
    async def _check(self) -> None:
        try:
            found, rules = await self._call(self.model.examine)
        except WeightscopeError as error:
            self.query_one("#verdict", Static).update("not checked")
            self.findings.set_exception(error)
            return
        found = tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))
        self.query_one("#verdict", Static).update(_verdict(found))
        self.findings.set_result((found, rules))

    @work(exclusive=True, group="findings")
    async def action_findings(self) -> None:
        """Show what check finds, and go to the tensors of what is chosen."""
        try:
            found, rules = await asyncio.shield(self.findings)
        except WeightscopeError as error:
            self._say(str(error))
            return
        checked = f"{plural(len(self.model.checkpoint.names), 'tensor')} and {plural(rules, 'rule')} checked"
        chosen = await self.push_screen_wait(FindingsScreen(found, checked))
        if chosen:
            stored = self.model.checkpoint.names
            names = await self._call(lambda: tuple(name for name in chosen.names if name in stored))
            await self._go_through(chosen.code, names, f"{chosen.code}: none of its tensors is stored here")

    # The rest.

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
        root = await self._call(lambda: self.views.by_name if self._is_by_name else self.views.by_role)
        await self.tensors.show(root, largest_first=largest_first)
        if chosen:
            await self.tensors.reveal(chosen.row.name)
        order = "largest first" if largest_first else "in the order of the forward pass"
        self._say(f"By {'name' if self._is_by_name else 'component and role'}, {order}")

    def action_copy(self) -> None:
        """Hand the tensor's name to the terminal, as it is shown: a name with line breaks could be a command."""
        if self.chosen:
            name = visible(self.chosen.row.name)
            self.copy_to_clipboard(name)
            self._say(f"Copied {name}")

    def action_theme(self) -> None:
        """Change between dark and light."""
        self.theme = "textual-dark" if self.theme == "textual-light" else "textual-light"

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(HelpScreen())

    def action_interrupt(self) -> None:
        """End as the other commands do on Ctrl-C."""
        self.exit(return_code=INTERRUPTED)

    def interrupt_soon(self) -> None:
        """The same from another thread, which heard of the signal."""
        if self._running_loop:
            self._running_loop.call_soon_threadsafe(self.action_interrupt)

    def _fatal_error(self) -> None:
        """End on a fault; whoever runs the application says it in a line, where Textual would print a traceback."""
        self._close_messages_no_wait()


def _with_values(document: Document, values: Values | None, width: int) -> tuple[Document, ...]:
    return (document, *(values_documents(values, width) if values else ()))


def _verdict(findings: tuple[Finding, ...]) -> str:
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}
    words = {"error": "error", "warning": "warning", "info": "note"}
    return " · ".join(plural(count, words[severity]) for severity, count in counts.items() if count) or "ok"
