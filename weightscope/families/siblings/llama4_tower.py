"""Llama 4's tower, and its bridge of squares of patches. Source: `Llama4VisionConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Repeat
from weightscope.components.projection import Projection
from weightscope.components.vision.shuffled import ShuffledMLP
from weightscope.components.vision.turning_encoder import PatchMatrix, TurningEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms, rotary
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block
from weightscope.roles import Role
from weightscope.sizes import Size

VISION: dict[str, Any] = {
    "hidden_size": 768, "num_hidden_layers": 34, "num_attention_heads": 16, "num_channels": 3,
    "intermediate_size": 5632, "vision_output_dim": 7680, "image_size": 448, "patch_size": 14,
    "pixel_shuffle_ratio": 0.5, "projector_input_dim": 4096, "projector_output_dim": 4096,
    "rope_theta": 10000.0, "rope_parameters": Nullable(dict),
}  # fmt: skip


def encoder(vision: Config) -> TurningEncoder:
    """Heads pair neighbours; the class has a GELU and an eps of its own, whatever the config says."""
    s, norm = Dims.of(vision), layer_norms(1e-5)
    if s.head_dim % 4:
        raise vision.error(f"heads of {s.head_dim:,} elements ({s.head_dim.text}) are not a multiple of 4")
    attention = Attention(
        name="self_attn",
        projections=four_projections(qkv_bias=True, o_bias=True),
        width=s.width,
        heads=s.heads,
        positions=Axial(dim=int(s.head_dim), theta=rotary(vision, s.head_dim).theta, interleaved=True),
        sees=Segments("image"),
    )
    feed_forward = mlp(s.width, vision["intermediate_size"], "gelu", names=("fc1", "fc2"), bias=True)
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return TurningEncoder(
        name="vision_model",
        patches=PatchMatrix(
            width=s.width, channels=vision["num_channels"], image=vision["image_size"], patch=vision["patch_size"]
        ),
        pre_norm=norm("layernorm_pre", Role.EMBEDDING_NORM, s.width),
        blocks=(Repeat(name="model.layers", indices=range(s.depth), child=block),),
        post_norm=norm("layernorm_post", Role.FINAL_NORM, s.width),
    )


def shuffled(vision: Config, tower: TurningEncoder, width: Size) -> ShuffledMLP:
    """The tower's own MLP, and one matrix to the language model's width."""
    first, second, out = vision["projector_input_dim"], vision["projector_output_dim"], vision["vision_output_dim"]
    return ShuffledMLP(
        first=matrix("vision_model.vision_adapter.mlp.fc1", vision["intermediate_size"], first),
        second=matrix("vision_model.vision_adapter.mlp.fc2", second, second),
        out=matrix("multi_modal_projector.linear_1", out, width),
        width=tower.patches.width,
        side=int(tower.patches.side),
        merge=merged(vision),
    )


def matrix(name: str, inputs: Size, outputs: Size) -> Projection:
    """A layer of the bridge."""
    return Projection(name=name, inputs=inputs, outputs=outputs, bias=False)


def merged(vision: Config) -> int:
    """How many patches become one, along each side."""
    ratio = vision["pixel_shuffle_ratio"]
    merge = round(1 / ratio) if ratio else 0
    if not merge or merge * ratio != 1:
        raise vision.undeclared(f"a pixel_shuffle_ratio of {ratio:g} is not declared")
    return merge
