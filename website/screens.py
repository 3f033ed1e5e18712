"""Pictures of `weightscope browse`, as Textual exports them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec

from website.terminal import FAMILY

# The font that Textual's pictures would fetch from elsewhere, and comments.
FETCHED = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)
FONT = "font-family: Fira Code, monospace;"
SIZE = (100, 30)


class Screen(msgspec.Struct, frozen=True):
    """What is shown of a model after some keys were pressed."""

    model: str
    keys: tuple[str, ...]


SCREENS = {"browse": Screen("fixtures/llama", ("slash", "k", "underscore", *"proj", "enter", "n"))}


def screen(name: str, folder: Path) -> str:
    """One SVG of the browser on a model of `folder`."""
    svg = asyncio.run(_exported(folder, SCREENS[name]))
    return FETCHED.sub("", svg).replace(FONT, f"font-family: {FAMILY};")


async def _exported(folder: Path, shown: Screen) -> str:
    from weightscope.api.opening import open_model
    from weightscope.browse.app import BrowseApp

    app = BrowseApp(open_model(folder / shown.model))
    async with app.run_test(size=SIZE) as pilot:
        for key in (None, *shown.keys):
            if key:
                await pilot.press(key)
            await app.workers.wait_for_complete()
            await pilot.pause()
        return app.export_screenshot(title=f"weightscope browse {shown.model}")
