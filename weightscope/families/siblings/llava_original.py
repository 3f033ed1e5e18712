"""LLaVA as its own repository publishes it: a flat config, `mm_projector`, the tower inside or by its name alone.

Source: `llava/model` of haotian-liu/LLaVA, and LLaVA-NeXT's, which adds SigLIP.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from weightscope.components.base import Component, Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.any_resolution import Newline
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.registry import component_of
from weightscope.roles import Section

ORIGINAL: dict[str, Any] = {
    "mm_vision_tower": Nullable(str), "mm_hidden_size": 0, "mm_projector_type": "linear",
    "mm_patch_merge_type": Nullable(str), "unfreeze_mm_vision_tower": Nullable(bool), "hidden_size": 4096,
}  # fmt: skip
# Where the tower is: as the config says, or as the files show.
USUAL, WITHIN, APART = "as published", "as published, with its tower", "as published, without its tower"
CLIP = {
    "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "image_size": 224, "patch_size": 14,
}  # fmt: skip
# The configs of the towers that LLaVA names; of SigLIP it drops the last layer and the head.
TOWERS: dict[str, dict[str, Any]] = {
    "clip-vit-large-patch14": CLIP,
    "clip-vit-large-patch14-336": CLIP | {"image_size": 336},
    "siglip-so400m-patch14-384": {
        "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26,
        "num_attention_heads": 16, "image_size": 384, "patch_size": 14, "vision_use_head": False,
    },
}  # fmt: skip


def is_original(config: Config) -> bool:
    """Whether a config is flat and names a vision tower, as the original repository writes it."""
    return "vision_config" not in config and "mm_vision_tower" in config


def original(config: Config, root: str, text: str) -> CausalLM:
    """A language model of the type `text`, the projector and perhaps the tower beside it; its pass takes text alone.

    Raises:
        UndeclaredError: a tower or projector of another kind.
    """
    if config.architecture == "LISAForCausalLM":
        raise config.undeclared("LISA, a LLaVA with a segmentation model, is not declared")
    config = config.with_defaults(ORIGINAL)
    model = component_of(CausalLM, _text(config, text), "model", text)
    parts: list[Component] = [_projector(config)]
    if root == WITHIN or (root != APART and config["unfreeze_mm_vision_tower"]):
        parts.append(_tower(config))
    if "unpad" in (config["mm_patch_merge_type"] or ""):
        parts.append(Newline(name="model.image_newline", width=config["hidden_size"]))
    return replace(model, extras=(*model.extras, *parts))


def _text(config: Config, text: str) -> Config:
    data = {**config.data, "model_type": text}
    return Config(data, source=config.source, prefix=config.prefix, read=config.read)


def _tower(config: Config) -> Component:
    name = (config["mm_vision_tower"] or "").rstrip("/").rpartition("/")[2]
    if name not in TOWERS:
        raise config.undeclared(f"the mm_vision_tower {name!r:.80} is not declared")
    sizes = Config(TOWERS[name], source=config.source, prefix=f"{name}.", read=config.read)
    tower = component_of(VisionEncoder, sizes, "vision_tower.vision_model", "clip_vision_model")
    return Group(name="model.vision_tower", parts=(tower,))


def _projector(config: Config) -> Component:
    """One matrix, or several with GELU between."""
    kind, inputs, outputs = config["mm_projector_type"], config["mm_hidden_size"], config["hidden_size"]
    layers = re.fullmatch(r"mlp([1-9])x_gelu", kind)
    if kind != "linear" and not layers:
        raise config.undeclared(f"the mm_projector_type {kind!r:.80} is not declared")
    if not inputs:
        raise config.error("lacks 'mm_hidden_size', which the projector needs")
    if not layers:
        matrix = Projection(name="mm_projector", inputs=inputs, outputs=outputs, bias=True)
        return Group(name="model", parts=(matrix,), section=Section.PROJECTOR)
    widths = [inputs, *[outputs] * int(layers[1])]
    # Activations have numbers too.
    parts = tuple(
        Projection(name=str(2 * place), inputs=widths[place], outputs=widths[place + 1], bias=True)
        for place in range(int(layers[1]))
    )
    return Projector(name="model.mm_projector", parts=parts, activation="gelu")
