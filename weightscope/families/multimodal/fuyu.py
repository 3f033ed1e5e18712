"""Fuyu (Adept): patches of an image go through one matrix into Persimmon. Source: `FuyuConfig` of transformers."""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.bare_eye import BareEye, PatchMatrix
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.persimmon import PERSIMMON

FUYU = {
    "patch_size": Nullable(int, 30), "num_channels": Nullable(int, 3), "image_token_id": Nullable(int, 71011),
    "tie_word_embeddings": False, "architectures": Nullable(list),
}  # fmt: skip
# Prefixes of the language model, of its decoder, and of the matrix.
SPELLINGS = {
    "as published": ("language_model", "model", "vision_embed_tokens"),
    "as transformers 5 holds it": ("", "model.language_model", "model.vision_embed_tokens"),
}


@family("fuyu", roots=tuple(SPELLINGS), defaults=FUYU, needs=())
def fuyu(config: Config, root: str) -> VisionLanguage:
    """A flat config, as it is published, holds Persimmon's keys itself."""
    language, decoder, matrix = SPELLINGS[root]
    model = component_of(CausalLM, _text(config), decoder, "persimmon")
    patch, token = config["patch_size"], config["image_token_id"]
    if patch is None or config["num_channels"] is None:
        raise config.error("patch_size and num_channels cannot be null")
    projection = PatchMatrix(
        name=matrix,
        inputs=patch * patch * config["num_channels"],
        outputs=model.decoder.embedding.width,
        bias=True,
    )
    return VisionLanguage(
        eye=BareEye(matrix=projection, patch=int(patch)),
        language=Group(name=language, parts=(model,)),
        image_token=-1 if token is None else int(token),
    )


def _text(config: Config) -> Config:
    if isinstance(config.data.get("text_config"), dict):
        return decided_text_config(config)
    if "hidden_size" not in config.data:
        config.nested("text_config")
    # transformers takes the share of a head that turns from nowhere else than the class.
    own = {key: value for key, value in config.data.items() if key in PERSIMMON and key != "partial_rotary_factor"}
    data = own | {key: config[key] for key in ("tie_word_embeddings", "architectures")}
    return Config(data | {"model_type": "persimmon"}, source=config.source, read=config.read)
