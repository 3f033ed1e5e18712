"""The pictures of docs/pictures/: what the commands print, and figures that Python objects draw.

`python -m website.pictures` draws them; tests/website/test_pictures.py says when that is due. Pictures of reports need
Chromium, and stay as they are where there is none.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

import weightscope
from website.pages import BROWSERS, browser, draw
from website.scene import scene
from website.screens import SCREENS, screen
from website.terminal import COLUMNS, FAMILY, ROOT, printed
from weightscope.display import Figure

FOLDER = ROOT / "docs" / "pictures"
# Each picture, by its name: the command that prints it, run in the folder of `scene`.
PICTURES = {
    "inspect": "weightscope inspect fixtures/llama",
    "explain": "weightscope explain fixtures/llama layers.1.self_attn.k_proj",
    "check": "weightscope check wrong-config",
    "params": "weightscope params Qwen3-30B-A3B --by layer",
    "memory": "weightscope memory DeepSeek-V3.2 --gpu h200 --gpus 8 --context 32768",
    "stats": "weightscope stats dead-layer",
    "diff": "weightscope diff fixtures/llama tuned --values",
}
# Figures, by their names, each of a model in the folder of `scene`.
FIGURES: dict[str, Callable[[Path], Figure]] = {
    "treemap": lambda folder: weightscope.open(folder / "Qwen2.5-VL-7B").treemap(),
    "layers": lambda folder: weightscope.open(folder / "dead-layer").stats().plot("gate_proj", "up_proj"),
}
# Black on white would be a hole in a dark page, and the reverse in a light one; a terminal's grey suits both.
THEME = TerminalTheme(
    (30, 34, 42),
    (216, 222, 233),
    [
        (59, 66, 82),
        (240, 113, 120),
        (152, 195, 121),
        (229, 192, 123),
        (97, 175, 239),
        (198, 120, 221),
        (86, 182, 194),
        (216, 222, 233),
    ],
    [
        (118, 128, 150),
        (255, 130, 138),
        (170, 215, 140),
        (245, 208, 140),
        (120, 195, 255),
        (215, 140, 240),
        (105, 205, 215),
        (255, 255, 255),
    ],
)
# Rich's own frame without its font, which it would fetch from elsewhere.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: FAMILY;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""".replace("FAMILY", FAMILY)


def picture(name: str, folder: Path) -> str:
    """The SVG of one command or figure, made in a folder that `scene` has set up."""
    if name in FIGURES:
        return FIGURES[name](folder).svg
    if name in SCREENS:
        return screen(name, folder)
    command = PICTURES[name]
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), legacy_windows=False)
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(printed(command, folder, colour=True)))
    return console.export_svg(title="", theme=THEME, code_format=FRAME, unique_id=f"weightscope-{name}")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with scene() as folder:
        for name in (*PICTURES, *FIGURES, *SCREENS):
            (FOLDER / f"{name}.svg").write_text(picture(name, folder), encoding="utf-8")
        if path := browser():
            draw(folder, FOLDER, path)
        else:
            print(f"none of {', '.join(BROWSERS)}: pictures of reports stay as they are", file=sys.stderr)
