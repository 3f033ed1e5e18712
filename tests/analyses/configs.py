"""The config.json of a model, as a checkpoint has it beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def config_of(model: Any, directory: Path) -> Path:
    """The file, written into the directory; it names the model's class."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(directory)
    return directory / "config.json"
