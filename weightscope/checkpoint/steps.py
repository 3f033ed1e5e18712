"""The last step of a run that transformers' Trainer saved."""

from __future__ import annotations

import re
from pathlib import Path

from weightscope.checkpoint.folder import LocalFolder

_STEP = re.compile(r"checkpoint-(\d{1,12})")
# What a model, its parts or an index are called.
_READABLE = re.compile(r"\.(?:safetensors|bin|pt|pth|ckpt|gguf|distcp)$|\.index\.json$|^\.metadata$|^latest$")


def last_step(folder: Path) -> Path | None:
    """The last `checkpoint-N` in a run's folder; None in a folder that holds something to read itself.

    The folder of a run that is over holds the finished model as well: then that is meant.
    """
    names = LocalFolder(folder).names()
    steps = [(int(match[1]), name) for name in names if (match := _STEP.fullmatch(name))]
    steps = [step for step in steps if (folder / step[1]).is_dir()]
    if not steps or any(map(_READABLE.search, names)):
        return None
    return folder / max(steps)[1]
