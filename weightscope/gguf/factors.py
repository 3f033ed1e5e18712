"""Rotations whose frequencies lie in tensors of the file: what Llama 3.1 and LongRoPE divide each of them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import load_numpy, need_here
from weightscope.config import Config
from weightscope.families.declaration import Declaration
from weightscope.gguf.opening import described, redeclared
from weightscope.gguf.windows import FAR

ALL, SHORT, LONG = "rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"


def with_factors(declaration: Declaration, checkpoint: Checkpoint) -> Declaration:
    """The declaration that a pass needs: its rotation with the factors that the file holds, if it holds any.

    Raises:
        CheckpointError: the file is not here, or shorter than it was.
    """
    names = (ALL, ALL) if ALL in checkpoint.tensors else (SHORT, LONG)
    if not all(name in checkpoint.tensors for name in names):
        return declaration
    short, long = (_values(checkpoint, name) for name in names)
    data, metadata = declaration.config.data, described(checkpoint)
    assert metadata is not None
    strength = metadata.number(f"{metadata.architecture}.rope.scaling.attn_factor")
    trained = data.get("original_max_position_embeddings") or data.get("max_position_embeddings")
    scaling = {
        "rope_type": "longrope",
        "short_factor": short,
        "long_factor": long,
        "attention_factor": 1.0 if strength is None else strength,
        "original_max_position_embeddings": trained,
    }
    return redeclared(Config(_scaled(data, scaling), source=declaration.config.source), checkpoint)


def _scaled(data: Mapping[str, Any], scaling: dict[str, Any]) -> dict[str, Any]:
    """With that rotation; where kinds of layers have rotations of their own, for those that see everything."""
    stated = data.get("rope_parameters")
    if not isinstance(stated, dict) or FAR not in stated:
        return {**data, "rope_scaling": scaling}
    theta = {"rope_theta": stated[FAR]["rope_theta"]}
    return {**data, "rope_parameters": stated | {FAR: scaling | theta}}


def _values(checkpoint: Checkpoint, name: str) -> list[float]:
    entry = checkpoint.tensors[name]
    need_here(checkpoint.files, entry)
    return [float(value) for value in load_numpy(checkpoint.files, entry).reshape(-1)]
