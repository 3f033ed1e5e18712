"""The adapters that PEFT wrote (fixtures/adapters), what PEFT makes of them, and copies with something wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

FOLDER = Path(__file__).parents[2] / "fixtures" / "adapters"
PEFT = FOLDER / "peft"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
NAMES = sorted(path.name for path in PEFT.iterdir())
# Of a method that is counted as stored.
UNREAD = "hra"
Tensors = dict[str, torch.Tensor]


def base_of(name: str) -> Path:
    """The model that an adapter was trained on."""
    settings = json.loads((PEFT / name / "adapter_config.json").read_text())
    base: str = settings["base_model_name_or_path"]
    return FOLDER / "bases" / base.removeprefix("tiny/")


def changed(
    name: str,
    folder: Path,
    tensors: Callable[[Tensors], Tensors] | None = None,
    **settings: Any,
) -> Path:
    """A copy of an adapter in `folder` with other tensors, other settings, or both."""
    copy = folder / name
    shutil.copytree(PEFT / name, copy)
    weights = copy / "adapter_model.safetensors"
    if tensors:
        save_file({key: value.contiguous() for key, value in tensors(load_file(weights)).items()}, weights)
    file = copy / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return copy
