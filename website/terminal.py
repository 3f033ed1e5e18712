"""Run a command as a reader would, and keep what it prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = 80
# Fonts of pictures: those that systems have.
FAMILY = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'
# What a reader's terminal decides, and so must not come from this one's.
CONTROL = ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "CI", "PAGER")
# What differs from run to run: of a pass its time and its memory.
SECONDS, MEMORY = re.compile(r"(?<=[·-]\s)\d+\.\d\d s\b"), re.compile(r"(?<=peak memory)(\s)[\d.]+ [MG]B")


def printed(command: str, folder: Path = ROOT, *, colour: bool = False) -> str:
    """What `weightscope …` prints at 80 columns, standard error within it, run in `folder`.

    Times and memory are shown as `…`, so that the same files always give the same text.
    """
    kept = {key: value for key, value in os.environ.items() if key not in CONTROL}
    terminal = {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "weightscope", *shlex.split(command)[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=kept | terminal | ({"FORCE_COLOR": "1"} if colour else {"NO_COLOR": "1"}),
        check=False,
    )
    return MEMORY.sub(r"\g<1>… MB", SECONDS.sub("… s", done.stdout.decode("utf-8")))
