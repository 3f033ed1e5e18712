"""Parts of Idefics 2 and 3 and SmolVLM: SigLIP's tower under their own defaults, and the spellings."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import component_of
from weightscope.families.siblings.siglip import siglip_tower

WHOLE: dict[str, Any] = {
    "tie_word_embeddings": Nullable(bool, False), "architectures": Nullable(list), "image_token_id": 32001,
}  # fmt: skip
TOWER: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "num_channels": 3, "image_size": 224, "patch_size": 32, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
}  # fmt: skip
# What a root stands for: prefixes of the language model, of its decoder, the vision encoder and the bridge.
SPELLINGS = {
    "as published": ("", "model.text_model", "model.vision_model", "model.connector"),
    "": ("", "text_model", "vision_model", "connector"),
    "as MLX has it": ("language_model", "", "vision_model", "connector"),
}


def tower_and_language(
    config: Config, defaults: dict[str, Any], names: tuple[str, str], text: str
) -> tuple[VisionEncoder, CausalLM]:
    """The vision encoder and the language model under their names; `text` is the language model's usual type.

    Raises:
        UndeclaredError: the text_config is no language model's.
    """
    eye, decoder = names
    vision = config.nested("vision_config").with_defaults(defaults)
    model = component_of(CausalLM, decided_text_config(config), decoder, text)
    return siglip_tower(vision, eye, pools=False), model
