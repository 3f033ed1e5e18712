"""The pictures of docs/pictures/: what the commands print, and figures that Python objects draw.

`python -m website.pictures` draws them; tests/website/test_pictures.py says when that is due. Pictures of reports need
Chromium, and stay as they are where there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import weightscope
from website.drawing import terminal
from website.pages import BROWSERS, browser, draw
from website.scene import scene
from website.screens import SCREENS, screen
from website.terminal import ROOT
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


def picture(name: str, folder: Path) -> str:
    """The SVG of one command or figure, made in a folder that `scene` has set up."""
    if name in FIGURES:
        return FIGURES[name](folder).svg
    if name in SCREENS:
        return screen(name, folder)
    return terminal(name, PICTURES[name], folder)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with scene() as folder:
        for name in (*PICTURES, *FIGURES, *SCREENS):
            (FOLDER / f"{name}.svg").write_text(picture(name, folder), encoding="utf-8")
        if path := browser():
            draw(folder, FOLDER, path)
        else:
            print(f"none of {', '.join(BROWSERS)}: pictures of reports stay as they are", file=sys.stderr)
