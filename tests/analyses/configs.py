"""The config.json of a model, as a checkpoint has it beside its weights, and of published models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import weightscope

PUBLISHED = Path(__file__).parents[2] / "fixtures" / "published"


def published(name: str) -> dict[str, Any]:
    """The config of a model of fixtures/published, by its file's name."""
    found: dict[str, Any] = json.loads((PUBLISHED / f"{name}.json").read_text())["config"]
    return found


def opened(config: dict[str, Any], directory: Path) -> weightscope.Model:
    """A model of a config alone, which is written into the directory."""
    (directory / "config.json").write_text(json.dumps(config))
    return weightscope.open(directory / "config.json")


def config_of(model: Any, directory: Path) -> Path:
    """The file, written into the directory; it names the model's class."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(directory)
    return directory / "config.json"
