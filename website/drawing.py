"""Pictures of a terminal, as Rich draws them."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from website.terminal import COLUMNS, FAMILY, printed

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


def terminal(name: str, command: str, folder: Path) -> str:
    """The SVG of a command and what it prints, run in `folder`."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), legacy_windows=False)
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(printed(command, folder, colour=True)))
    return console.export_svg(title="", theme=THEME, code_format=FRAME, unique_id=f"weightscope-{name}")
