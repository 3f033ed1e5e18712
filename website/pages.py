"""Pictures of `weightscope report`, as Chromium shows it."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from website.terminal import printed

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1000
# A page has few colours, and so a picture of it is a fifth as large.
COLOURS = 128
# Milliseconds until a page is drawn.
SETTLED = 300


class View(msgspec.Struct, frozen=True):
    """A part of a report: of what, from which section on, how much of it."""

    report: str
    section: str
    height: int
    scheme: Literal["light", "dark"] = "light"


VIEWS = {
    "report-treemap": View("Qwen2.5-VL-7B/config.json", "parameters", 700),
    "report-architecture": View("Qwen2.5-VL-7B/config.json", "architecture", 760, "dark"),
    "report-findings": View("wrong-config", "findings", 560),
    "report-values": View("dead-layer --values", "values", 900, "dark"),
}


def browser() -> str | None:
    """The path of a browser; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def draw(folder: Path, into: Path, path: str) -> None:
    """Draw all views of reports on models of `folder` as PNG files, with the browser at `path`."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, view in VIEWS.items():
            file = folder / f"{name}.html"
            printed(f"weightscope report {view.report} -o {file.name}", folder)
            page = chromium.new_page(viewport={"width": WIDTH, "height": view.height}, color_scheme=view.scheme)
            page.goto(file.as_uri())
            page.locator(f"#{view.section}").evaluate("section => section.scrollIntoView({behavior: 'instant'})")
            page.wait_for_timeout(SETTLED)
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
            image.save(into / f"{name}.png", optimize=True)
        chromium.close()
