"""The names of a pass's stages, taken apart."""

from __future__ import annotations


def split(stage: str) -> tuple[str, int | None]:
    """A stage's name without its layer, and the layer: (attention, 3) for `layer 3 attention`."""
    parts = stage.split(" ")
    if "layer" not in parts[:-1]:
        return stage, None
    place = parts.index("layer")
    if not parts[place + 1].isdecimal():
        return stage, None
    return " ".join(parts[:place] + parts[place + 2 :]), int(parts[place + 1])
