"""What LLaVA's siblings share whose images are cut into tiles: the resolutions, and whether features make a grid."""

from __future__ import annotations

from weightscope.components.vision.any_resolution import Newline
from weightscope.components.vision.resolutions import Resolution
from weightscope.config import Config
from weightscope.families.siblings.llava import Read


def resolutions(config: Config) -> tuple[Resolution, ...]:
    """The sizes (height, width) of `image_grid_pinpoints`.

    Raises:
        ConfigError: they are no sizes.
    """
    listed = config["image_grid_pinpoints"]
    pairs = [pair for pair in listed if isinstance(pair, list | tuple) and len(pair) == 2]
    if (
        not pairs
        or len(pairs) != len(listed)
        or not all(type(side) is int and side > 0 for pair in pairs for side in pair)
    ):
        raise config.error(f"image_grid_pinpoints is {listed!r:.60}, not a list of [height, width]")
    return tuple((tall, wide) for tall, wide in pairs)


def newline(read: Read, name: str) -> Newline:
    """As wide as the language model."""
    return Newline(name=name, width=read.model.decoder.embedding.width)


def unusable(read: Read, sizes: tuple[Resolution, ...]) -> str:
    """Why images cannot be arranged in a grid, or an empty string."""
    patches = read.tower.patches
    if patches.class_token and read.whole:
        return (
            "vision_feature_select_strategy 'full' keeps the class vector, which has no place in the grid of an image"
        )
    if not patches.class_token and not read.whole:
        return "vision_feature_select_strategy 'default' drops the first patch, and an image's grid needs it"
    side = int(patches.image)
    if not side or any(length % side for size in sizes for length in size):
        return f"image_grid_pinpoints are no multiples of the vision encoder's image_size {side:,}"
    return ""
