"""The screen of `weightscope browse` after some keys, as an SVG."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from rich.console import Console

from weightscope.api.opening import open_model
from weightscope.browse.app import BrowseApp

SIZE = (100, 24)
# Seconds in which whatever a key began is done.
PATIENCE = 20.0
# Typed after /, and what then stands in the right pane.
SEARCH, SHOWN = "layers.0.mlp.experts.1.up_proj", "After"


def screen(folder: Path, frame: str) -> str:
    """The page of an expert's matrix in a mixture of experts, in Rich's `frame`."""
    return asyncio.run(_screen(folder / "Qwen3-30B-A3B" / "config.json", frame))


async def _screen(model: Path, frame: str) -> str:
    app = BrowseApp(open_model(model))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("slash", *SEARCH, "enter")
        for _ in range(int(PATIENCE / 0.1)):
            await pilot.pause(0.1)
            if SHOWN in app.panes.detail.text:
                break
        await pilot.pause(0.5)
        console = Console(
            width=SIZE[0], height=SIZE[1], file=io.StringIO(), force_terminal=True, color_system="truecolor",
            record=True, legacy_windows=False,
        )  # fmt: skip
        console.print(app.screen._compositor.render_update(full=True))  # noqa: SLF001 - as Textual's own screenshots
        return console.export_svg(title="", code_format=frame, unique_id="weightscope-browse")
