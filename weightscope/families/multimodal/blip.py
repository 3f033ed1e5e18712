"""BLIP (arXiv 2201.12086): a text's every layer looks at an image. Source: `BlipConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.embedding import Classifier
from weightscope.components.encoder import EncoderModel
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.projection import Projection
from weightscope.components.vision.seeing_text import AskedImage, SeeingText
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.registry import family
from weightscope.families.siblings.blip import VISION, vision_encoder
from weightscope.families.siblings.blip_text import TEXT, text_encoder, vocabulary
from weightscope.roles import Role
from weightscope.sizes import Size

BLIP: dict[str, Any] = {
    "image_text_hidden_size": 256, "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
BLIP_VISION: dict[str, Any] = {key: value for key, value in VISION.items() if key != "qkv_bias"} | {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "image_size": 384, "patch_size": 16, "layer_norm_eps": 1e-5,
}  # fmt: skip


@family("blip", roots=("",), defaults=BLIP, needs=("text_config", "vision_config"))
def blip(config: Config, root: str) -> SeeingText:
    """One model writes about an image, one answers questions about it, and one matches it with a text."""
    tower = vision_encoder(part(config, "vision_config", BLIP_VISION), bias=True)
    said = part(config, "text_config", TEXT)
    text = replaced(said, tie_word_embeddings=config["tie_word_embeddings"] or said["tie_word_embeddings"])
    text, features = text.with_defaults(TEXT), tower.patches.width
    if config.task == "ImageTextRetrieval":
        return SeeingText(name=root, tower=tower, text=_matched(config, text, features))
    decoder = EncoderModel(
        name="text_decoder",
        encoder=text_encoder(text, "bert", features, writes=True),
        heads=(vocabulary(text),),
        causal=True,
    )
    if config.task == "QuestionAnswering":
        start = text["bos_token_id"]
        if start is None:
            raise config.undeclared("BLIP for questions without text_config.bos_token_id is not declared")
        question = EncoderModel(encoder=text_encoder(text, "text_encoder", features, writes=False))
        return AskedImage(name=root, tower=tower, text=question, answer=decoder, start=int(start))
    if config.architecture not in ("", "BlipForConditionalGeneration"):
        raise config.undeclared(f"{config.architecture:.80} is not declared")
    return SeeingText(name=root, tower=tower, text=decoder)


def _matched(config: Config, text: Config, features: Size) -> EncoderModel:
    """Two classes of the first token; two matrices, which compare a text alone with an image, are not used for them."""
    width, inner = text["hidden_size"], config["image_text_hidden_size"]
    sides = (("vision_proj", features), ("text_proj", width))
    return EncoderModel(
        encoder=text_encoder(text, "text_encoder", features, writes=False),
        heads=(EncoderHead(of="first", out=Classifier(name="itm_head", labels=2, width=width, bias=True)),),
        extras=tuple(
            Projection(name=name, inputs=inputs, outputs=inner, bias=True, role=Role.OUTPUT_PROJ)
            for name, inputs in sides
        ),
    )
