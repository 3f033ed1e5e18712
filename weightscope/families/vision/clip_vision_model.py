"""CLIP's vision encoder (arXiv 2103.00020). Source: `CLIPVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.softmax_old import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.norm import LayerNorm
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

CLIP_VISION: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}


@family(
    "clip_vision_model", roots=("vision_model", ""), defaults=CLIP_VISION, needs=("hidden_size", "num_hidden_layers")
)
def clip_vision_model(config: Config, root: str, feature_layer: int = -1) -> VisionEncoder:
    """The first norm is really spelled `pre_layrnorm`."""
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    projections = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
    block = Block(
        input_norm=LayerNorm(name="layer_norm1", role=Role.INPUT_NORM, size=width, eps=eps),
        attention=Attention(
            name="self_attn",
            items=tuple(Linear(name, role, bias=True) for name, role in projections.items()),
            width=width,
            heads=heads,
            kv_heads=heads,
            head_dim=width // heads,
            causal=False,
        ),
        feed_forward_norm=LayerNorm(name="layer_norm2", role=Role.POST_ATTENTION_NORM, size=width, eps=eps),
        feed_forward=MLP(
            name="mlp",
            items=(Linear("fc1", Role.UP_PROJ, bias=True), Linear("fc2", Role.DOWN_PROJ, bias=True)),
            width=width,
            inner=config["intermediate_size"],
            activation=config["hidden_act"],
        ),
    )
    return VisionEncoder(
        name=root,
        patches=PatchEmbedding(
            name="embeddings",
            width=width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
        ),
        pre_norm=LayerNorm(name="pre_layrnorm", role=Role.EMBEDDING_NORM, size=width, eps=eps),
        blocks=Repeat(name="encoder.layers", indices=range(config["num_hidden_layers"]), child=block),
        post_norm=LayerNorm(name="post_layernorm", role=Role.FINAL_NORM, size=width, eps=eps),
        feature_layer=feature_layer,
    )
