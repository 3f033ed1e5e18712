"""Functions of transformers' files that import torchvision, which is not installed: taken out of their source."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

MODELS = Path(transformers.__file__).parent / "models"


def functions_of(file: str, *names: str) -> list[Callable[..., Any]]:
    """Functions and methods of a file below transformers' models, which may call each other.

    `lfm2_vl/image_processing_lfm2_vl.py`, `round_by_factor`: those that need nothing but mathematics.
    """
    tree = ast.parse((MODELS / file).read_text())
    wanted: list[ast.stmt] = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in names]
    scope: dict[str, Any] = {"math": math, "np": np, "torch": torch, "lru_cache": lru_cache}
    exec(compile(ast.Module(wanted, []), file, "exec"), scope)
    return [scope[name] for name in names]
