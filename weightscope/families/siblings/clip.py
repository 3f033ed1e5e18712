"""CLIP's vision encoder, for every class that has its keys and layers (arXiv 2103.00020)."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.projection import Projection
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size

CLIP_VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "num_channels": 3, "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    "projection_dim": 512,
    # No field of the class, but transformers passes it on to the attention of any.
    "is_causal": Nullable(bool),
}  # fmt: skip
PROJECTIONS = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}


def clip_encoder(config: Config, root: str) -> VisionEncoder:
    """The first norm is really spelled `pre_layrnorm`."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"])
    sees = Segments("image", causal=bool(config["is_causal"]))
    block = Block(
        input_norm=norm("layer_norm1", Role.INPUT_NORM, s.width),
        attention=self_attention(s, linears(PROJECTIONS, bias=True), sees=sees),
        feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"), bias=True),
    )
    return VisionEncoder(
        name=root,
        patches=PatchEmbedding(
            name="embeddings",
            width=s.width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
        ),
        pre_norm=norm("pre_layrnorm", Role.EMBEDDING_NORM, s.width),
        blocks=(Repeat(name="encoder.layers", indices=range(s.depth), child=block),),
        post_norm=norm("post_layernorm", Role.FINAL_NORM, s.width),
    )


def projection(name: str, inputs: Size, outputs: Size) -> Projection:
    """The matrix that makes vectors to compare of what an encoder pools."""
    return Projection(name=name, inputs=inputs, outputs=outputs, bias=False, role=Role.OUTPUT_PROJ)
