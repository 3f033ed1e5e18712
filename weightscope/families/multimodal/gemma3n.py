"""Gemma 3n (Google 2025) sees by MobileNetV5 and hears by a conformer.

Source: `Gemma3nConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.audio.filled_ear import FilledEar
from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.map_eye import MapEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.gemma3n_parts import AUDIO, VISION, conformer, embedder, timm_tower

GEMMA3N = {
    "image_token_id": 262145, "audio_token_id": Nullable(int, 262273), "boa_token_id": Nullable(int, 256000),
    "eoa_token_id": Nullable(int, 262272), "audio_soft_tokens_per_image": Nullable(int, 188),
    "boi_token_id": Nullable(int, 255999), "eoi_token_id": Nullable(int, 262144), "vision_soft_tokens_per_image": 256,
    "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
# What a root stands for: prefixes of the language model and its decoder, and of all other parts.
BY_MLX = "as MLX has it"
SPELLINGS = {"as published": ("", "model.language_model", "model."), BY_MLX: ("language_model", "model", "")}


@family(
    "gemma3n",
    roots=tuple(SPELLINGS),
    defaults=GEMMA3N,
    needs=("text_config", "vision_config", "audio_config"),
)
def gemma3n(config: Config, root: str) -> VisionLanguage:
    """Tokens of images and of audio have tables of their own, in the embedders."""
    language, decoder, others = SPELLINGS[root]
    model = component_of(CausalLM, decided_text(config, tied=config["tie_word_embeddings"]), decoder, "gemma3n_text")
    vision = config.nested("vision_config").with_defaults(VISION)
    audio, width = config.nested("audio_config").with_defaults(AUDIO), model.decoder.embedding.width
    seen, heard = embedder(vision, f"{others}embed_vision", width), embedder(audio, f"{others}embed_audio", width)
    token = config["audio_token_id"]
    return VisionLanguage(
        eye=MapEye(
            tower=timm_tower(vision, f"{others}vision_tower.timm_model", by_mlx=root == BY_MLX),
            bridge=seen,
            each=config["vision_soft_tokens_per_image"],
            begin=config["boi_token_id"],
            end=config["eoi_token_id"],
        ),
        ear=FilledEar(
            tower=conformer(audio, f"{others}audio_tower"),
            bridge=heard,
            begin=config["boa_token_id"],
            end=config["eoa_token_id"],
            each=int(config["audio_soft_tokens_per_image"] or 0),
            filler=int(model.decoder.embedding.rows) - 1,
        ),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        # Without a token nothing stands for audio.
        audio_token=-1 if token is None else int(token),
        apart=(seen, heard),
        layers_get_marks=True,
    )
