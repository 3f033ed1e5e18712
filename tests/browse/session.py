"""The browser as a person uses it, driven by Textual's own pilot."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from weightscope.api.opening import open_model
from weightscope.browse.app import BrowseApp
from weightscope.browse.detail import Detail
from weightscope.browse.nodes import Node

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
LLAMA = FIXTURES / "llama"
# Seconds that anything may take on a machine that does much else.
PATIENCE = 30


class Session:
    """An application under a pilot: keys, and what is then shown."""

    def __init__(self, app: BrowseApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.press("slash", *({" ": "space"}.get(key, key) for key in text), "enter")

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to be so."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, self.screen
            await self.pilot.pause(0.02)

    async def shows(self, text: str) -> None:
        await self.until(lambda: text in self.detail)

    async def says(self, text: str) -> None:
        await self.until(lambda: text in self.app.status.text)

    @property
    def detail(self) -> str:
        return self.app.screen.query_one(Detail).text

    @property
    def label(self) -> str:
        """The label under the cursor."""
        node = self.app.panes.tensors.cursor_node
        return str(node.label) if node else ""

    @property
    def labels(self) -> list[str]:
        """Those of all lines of the tree, each indented by its depth."""
        found: list[str] = []

        def add(node: object, depth: int) -> None:
            found.append("  " * depth + str(node.label))  # type: ignore[attr-defined]
            if node.is_expanded:  # type: ignore[attr-defined]
                for child in node.children:  # type: ignore[attr-defined]
                    add(child, depth + 1)

        add(self.app.panes.tensors.root, 0)
        return found

    @property
    def screen(self) -> str:
        """All that is painted, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


@asynccontextmanager
async def browsing(path: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Session]:
    app = BrowseApp(open_model(path, tolerant=True))
    async with app.run_test(size=size) as pilot:
        session = Session(app, pilot)
        await session.until(lambda: bool(session.detail))
        yield session


def browse(path: Path, test: Callable[[Session], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    """Run a test in a session of its own."""

    async def run() -> None:
        async with browsing(path, size) as session:
            await test(session)

    asyncio.run(run())


def names(node: Node) -> Iterator[str]:
    """Those of the tensors below a node."""
    if node.listed:
        yield node.listed.row.name
    for child in node.children():
        yield from names(child)


def printed(*arguments: object, width: int) -> str:
    """What a command prints for a width."""
    command = [sys.executable, "-m", "weightscope", *map(str, arguments)]
    environment = {"COLUMNS": str(width), "PATH": "", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    return run.stdout
