"""What LLaVA's siblings share: spellings, a projector of two matrices, and the features that it gets."""

from __future__ import annotations

from typing import Any

import msgspec

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import feature_layers
from weightscope.families.registry import component_of

WHOLE: dict[str, Any] = {
    "projector_hidden_act": "gelu", "image_token_index": 32000, "vision_feature_layer": Nullable(object, -2),
    "tie_word_embeddings": Nullable(bool), "architectures": Nullable(list),
}  # fmt: skip
CHOSEN: dict[str, Any] = WHOLE | {"multimodal_projector_bias": True, "vision_feature_select_strategy": "default"}
IMAGE_TOKEN = {"image_token_id": "image_token_index"}
VIDEO_TOKEN = IMAGE_TOKEN | {"video_token_id": "video_token_index"}
PARTS = ("text_config", "vision_config")
# The types of the tower and of the language model where a config does not name them.
USUAL = ("clip_vision_model", "llama")


class Spelling(msgspec.Struct, frozen=True):
    """Prefixes of the language model and its decoder, of all other parts, and of what is within a tower."""

    language: str
    decoder: str
    others: str
    inner: str

    def tower(self, name: str = "vision_tower") -> str:
        """The path of a vision encoder."""
        return f"{self.others}{name}{self.inner}"


# What a root stands for; MLX's are as published.
SPELLINGS = {
    "as published": Spelling("language_model", "model", "", ".vision_model"),
    "as transformers 5 saves it": Spelling("language_model", "model", "", ""),
    "as transformers 4.52 holds it": Spelling("", "model.language_model", "model.", ".vision_model"),
    "as transformers 5 holds it": Spelling("", "model.language_model", "model.", ""),
}


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a model, and which features its projector gets: those of `layers`, less the first of a crop's or
    not.
    """

    tower: VisionEncoder
    model: CausalLM
    language: Group
    layers: tuple[int, ...]
    whole: bool

    @property
    def skipped(self) -> int:
        """How many vectors of a crop are left out that are no class vector: transformers leaves out the first."""
        return 0 if self.whole or self.tower.patches.class_token else 1

    @property
    def each(self) -> int:
        """Vectors of one crop."""
        return int(self.tower.patches.positions) - (not self.whole)


def parts_of(
    config: Config, spelling: Spelling, text: Config, *, tower: str = "vision_tower", types: tuple[str, str] = USUAL
) -> Read:
    """The tower and the language model under a spelling; `types` are theirs where the config does not name them.

    Raises:
        UndeclaredError: one of them is of a kind that has no such model.
    """
    encoder = component_of(VisionEncoder, config.nested("vision_config"), spelling.tower(tower), types[0])
    model = component_of(CausalLM, text, spelling.decoder, types[1])
    return Read(
        tower=encoder,
        model=model,
        language=Group(name=spelling.language, parts=(model,)),
        layers=feature_layers(config, encoder.depth),
        whole=_whole(config),
    )


def projector(config: Config, read: Read, spelling: Spelling, *, norm: Norm | None = None) -> Projector:
    """Two matrices on the features of all layers side by side."""
    inputs, outputs = read.tower.patches.width * len(read.layers), read.model.decoder.embedding.width
    bias = config["multimodal_projector_bias"] if config.declares("multimodal_projector_bias") else True
    return Projector(
        name=f"{spelling.others}multi_modal_projector",
        norm=norm,
        parts=(
            Projection(name="linear_1", inputs=inputs, outputs=outputs, bias=bias),
            Projection(name="linear_2", inputs=outputs, outputs=outputs, bias=bias),
        ),
        activation=config["projector_hidden_act"],
    )


def _whole(config: Config) -> bool:
    """Whether the first vector of a crop, which is CLIP's class vector, is kept: never where no key says it."""
    if not config.declares("vision_feature_select_strategy"):
        return False
    strategy = config["vision_feature_select_strategy"]
    if strategy not in ("default", "full"):
        raise config.undeclared(f"the vision_feature_select_strategy {strategy!r} is not declared")
    return bool(strategy == "full")
