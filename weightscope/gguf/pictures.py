"""The settings of a vision part's image processor, from the metadata of its GGUF file."""

from __future__ import annotations

from typing import Any

from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.gguf.keys import Keys, shortest


def settings_of(metadata: Metadata, processor: str) -> dict[str, Any]:
    """What the processor of that class is told; what the file does not say is the class's own.

    Raises:
        CheckpointError: a key is of another kind.
    """
    keys = Keys(metadata, {})
    side = keys.whole("vision.image_size")
    square = {"height": side, "width": side}
    sizes: dict[str, dict[str, Any]] = {
        "CLIPImageProcessor": {"size": {"shortest_edge": side}, "crop_size": square},
        "Gemma3ImageProcessor": {"size": square},
        "Qwen2VLImageProcessor": {
            "patch_size": keys.whole("vision.patch_size"),
            "min_pixels": keys.whole("vision.image_min_pixels"),
            "max_pixels": keys.whole("vision.image_max_pixels"),
        },
    }
    colours = {
        key: [shortest(value) for value in values]
        for key in ("image_mean", "image_std")
        if (values := keys.numbers(f"vision.{key}"))
    }
    return sizes.get(processor, {}) | colours
