"""SAM (arXiv 2304.02643), whole and its image encoder alone. Sources: `SamConfig` and `SamVisionConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.vision.mask_prompts import PlaceCode
from weightscope.components.vision.sam_model import Sam, SamAlone
from weightscope.config import Config
from weightscope.families.common.multimodal import part
from weightscope.families.registry import family
from weightscope.families.siblings.sam import SAM_ALONE, sam_encoder
from weightscope.families.siblings.sam_masks import DECODER, PROMPTS, mask_decoder, prompt_encoder

VISION: dict[str, Any] = SAM_ALONE | {"num_pos_feats": 128}


@family("sam", roots=("",), defaults={"tie_word_embeddings": True}, needs=())
def sam(config: Config, root: str) -> Sam:
    """The image encoder, the code of places, the prompts, the decoder of masks."""
    if config.task:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    vision, prompts = part(config, "vision_config", VISION), part(config, "prompt_encoder_config", PROMPTS)
    decoder = part(config, "mask_decoder_config", DECODER)
    encoder, features = sam_encoder(vision, "vision_encoder"), vision["num_pos_feats"]
    side = prompts["image_size"] // prompts["patch_size"]
    if side != encoder.patches.side:
        raise config.error(
            f"vision_config has {encoder.patches.side:,} patches a side, but prompt_encoder_config {side:,}"
        )
    return Sam(
        name=root,
        encoder=encoder,
        code=PlaceCode(name="shared_image_embedding", features=features),
        prompts=prompt_encoder(prompts, features, tied=config["tie_word_embeddings"]),
        decoder=mask_decoder(decoder, int(side)),
    )


@family("sam_vision_model", roots=("",), defaults=VISION, needs=("hidden_size", "num_hidden_layers"))
def sam_vision_model(config: Config, root: str) -> SamAlone:
    """The image encoder."""
    return SamAlone(name=root, encoder=sam_encoder(config, "vision_encoder"))
