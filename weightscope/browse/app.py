"""The application: title, panes, search, findings, and the keys of all of them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Footer, Static

from weightscope.analyses.other_names import other_names
from weightscope.api.model import Model
from weightscope.browse.calls import called
from weightscope.browse.finding_names import find_names
from weightscope.browse.findings import FindingsScreen
from weightscope.browse.help import HelpScreen
from weightscope.browse.matches import Matches
from weightscope.browse.pages import Pages
from weightscope.browse.panes import Panes
from weightscope.browse.search_bar import SearchBar
from weightscope.browse.status import Status
from weightscope.errors import WeightscopeError, one_line
from weightscope.findings import Finding, most_severe_first
from weightscope.interrupt import INTERRUPTED
from weightscope.output.overview import found as counts_of
from weightscope.output.words import plural

# Columns from which on the panes stand side by side, and from which on both have room for names.
BREAKPOINTS = [(0, "-small"), (76, "-narrow"), (120, "-roomy")]


class BrowseApp(App[None]):
    """Shows one opened model; reads what is asked for, and writes nothing."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        # First of all, so that keys that come with it are typed into the line, and no widget takes them.
        Binding("slash", "search", "Search", key_display="/", priority=True),
        Binding("n", "match(1)", "Next"),
        Binding("N", "match(-1)", "Previous", show=False),
        Binding("f", "findings", "Findings"),
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
    .-narrow TensorTree { width: 36; }
    .-small Panes { layout: vertical; }
    .-small TensorTree { width: 100%; height: 45%; border-right: none; border-bottom: solid $panel; }
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = BREAKPOINTS
        # Whoever runs the application says a fault in a line; Textual would print a traceback here.
        self.error_console.quiet = True
        self.model = model
        self.matches: Matches | None = None
        self._pages = Pages(model)
        self._others = other_names(model.declaration, model.inventory, model.checkpoint)
        self._found: asyncio.Future[tuple[tuple[Finding, ...], int]]
        self._running_loop: asyncio.AbstractEventLoop | None = None

    def compose(self) -> ComposeResult:
        """Title, panes, the lines of search, and the keys."""
        with Horizontal(id="title"):
            yield Static(self._title(), id="name", markup=False)
            yield Static("checking …", id="verdict", markup=False)
        yield Panes(self.model, self._pages)
        yield SearchBar()
        yield Status()
        yield Footer()

    def on_mount(self) -> None:
        """The check begins once the tree is painted."""
        self._running_loop = asyncio.get_running_loop()
        self._found = self._running_loop.create_future()
        self.call_after_refresh(self._check)

    @property
    def failure(self) -> Exception | None:
        """The fault that ended it, for which Textual has no public name."""
        return self._exception

    @property
    def panes(self) -> Panes:
        """The tree and what is told of it."""
        return self.screen_stack[0].query_one(Panes)

    @property
    def status(self) -> Status:
        """The line above the keys."""
        return self.screen_stack[0].query_one(Status)

    def _title(self) -> Content:
        inspected = self._pages.inspected
        return Content.assemble((one_line(inspected.title), "bold"), "   ", one_line(inspected.subtitle))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A slash begins a search but where one is typed, and where another screen lies over the panes."""
        if action == "search":
            return len(self.screen_stack) == 1 and not self.query_one(SearchBar).has_focus
        return super().check_action(action, parameters)

    def action_search(self) -> None:
        """Begin to type."""
        self.query_one(SearchBar).begin()

    @work(exclusive=True, group="search")
    async def on_search_bar_asked(self, event: SearchBar.Asked) -> None:
        """Go to the first match."""
        typed = event.typed.strip()
        if typed:
            names = await called(partial(find_names, typed, self.model.inventory, self._others))
            await self._go_through(f"/{typed}", names, none=f"No tensor matches {typed}")

    async def _go_through(self, title: str, names: tuple[str, ...], *, none: str) -> None:
        """Go to the first of several tensors, and to others on n and N; say `none` where there is none."""
        self.matches = Matches(title, names) if names else None
        if self.matches:
            await self.action_match(0)
        else:
            self.status.keep("")
            self.status.say(none)

    async def action_match(self, step: int) -> None:
        """Go to another match."""
        if self.matches is None:
            self.status.say("Nothing was searched for: / begins")
            return
        self.matches.move(step)
        await self.panes.tensors.reveal(self.matches.current)
        self.status.keep(f"{self.matches}   n next  N previous  Esc clear")

    def action_leave(self) -> None:
        """End what was begun last: a reading, a look at one tensor, a search."""
        if not self.panes.leave():
            self.matches = None
            self.status.keep("")

    @work
    async def _check(self) -> None:
        verdict = self.query_one("#verdict", Static)
        try:
            found, rules = await called(self.model.examine)
        except (WeightscopeError, OSError) as error:
            verdict.update("not checked")
            self._found.set_exception(error)
            return
        found = tuple(most_severe_first(found, lambda finding: finding.severity))
        verdict.update(counts_of(found, " · ") or "ok")
        self._pages.findings = found
        self._found.set_result((found, rules))

    @work(exclusive=True, group="findings")
    async def action_findings(self) -> None:
        """Show what check finds, and go to the tensors of what is chosen."""
        if not self._found.done():
            self.status.say("Checking …")
        try:
            found, rules = await asyncio.shield(self._found)
        except (WeightscopeError, OSError) as error:
            self.status.say(f"Not checked: {error}")
            return
        self.status.say("")
        stored = self.model.checkpoint.names
        checked = f"{plural(len(stored), 'tensor')} and {plural(rules, 'rule')} checked"
        chosen = await self.push_screen_wait(FindingsScreen(found, checked))
        if chosen:
            names = await called(lambda: tuple(name for name in chosen.names if name in stored))
            await self._go_through(chosen.code, names, none=f"{chosen.code}: none of its tensors is stored here")

    def action_theme(self) -> None:
        """Change between dark and light."""
        self.theme = "textual-dark" if self.theme == "textual-light" else "textual-light"

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(HelpScreen())

    def action_interrupt(self) -> None:
        """End as the other commands do on Ctrl-C."""
        self.exit(return_code=INTERRUPTED)

    def end_soon(self, code: int) -> None:
        """End from another thread or from the handler of a signal."""
        if self._running_loop:
            self._running_loop.call_soon_threadsafe(partial(self.exit, return_code=code))
