"""CLIP (arXiv 2103.00020), whole and its text encoder alone. Sources: `CLIPConfig` and `CLIPTextConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import CAUSAL
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.contrast import Contrast
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.text_vector import TextVector
from weightscope.components.vision.vision_head import VisionHead
from weightscope.config import Config, Nullable
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.clip import projection
from weightscope.families.siblings.contrastive import PARTS, TEXT_NEEDS, image_classes, text_encoder

CLIP_TEXT: dict[str, Any] = {
    "vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12,
    "num_attention_heads": 8, "max_position_embeddings": 77, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    "eos_token_id": Nullable(object, 49407), "projection_dim": 512,
}  # fmt: skip


@family("clip_text_model", roots=("text_model", ""), defaults=CLIP_TEXT, needs=TEXT_NEEDS)
def clip_text_model(config: Config, root: str) -> CausalLM | TextVector:
    """A token sees those before it; a class of its own has the matrix that makes the vector of a text."""
    text = text_encoder(config, root, CAUSAL)
    if config.prefix or config.architecture != "CLIPTextModelWithProjection":
        return text
    end, refused = _end(config)
    return TextVector(
        text=text,
        projection=projection("text_projection", config["hidden_size"], config["projection_dim"]),
        end=end,
        refused=refused,
    )


@family("clip", roots=("",), defaults={"projection_dim": 512}, needs=PARTS)
def clip(config: Config, root: str) -> Contrast | VisionHead:
    """The first end of text stands for the whole; both vectors go through a matrix."""
    if config.architecture == "CLIPForImageClassification":
        return image_classes(VisionEncoder, config, "clip_vision_model")
    said = _part(config, "text_config")
    text = component_of(CausalLM, said, "text_model", "clip_text_model")
    tower = component_of(VisionEncoder, _part(config, "vision_config"), "vision_model", "clip_vision_model")
    (end, refused), inner = _end(said.with_defaults(CLIP_TEXT)), config["projection_dim"]
    return Contrast(
        name=root,
        text=text,
        text_projection=projection("text_projection", text.decoder.embedding.width, inner),
        tower=tower,
        visual_projection=projection("visual_projection", tower.patches.width, inner),
        number=(),
        biased=False,
        end=end,
        usual="CLIPImageProcessor",
        refused=refused,
    )


def _end(config: Config) -> tuple[int | None, str]:
    """The token whose vector stands for a text, or why there is no pass."""
    end = config["eos_token_id"]
    return (int(end), "") if isinstance(end, int) else (None, "CLIP with eos_token_id that is not one number")


def _part(config: Config, key: str) -> Config:
    """A part's config: early configs have it a second time as `text_config_dict`, which the class takes instead."""
    early = f"{key}_dict"
    return config.nested(early if config.data.get(early) is not None else key)
