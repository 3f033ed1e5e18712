"""Llama 4 (Meta 2025): tiles through a tower that rotates by row and column. Source: `Llama4Config` of transformers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.attention import Axial, Segments
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Group, Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.canvases import CanvasEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.shuffled import ShuffledMLP
from weightscope.components.vision.turning_encoder import PatchMatrix, TurningEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms, rotary
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import component_of, family
from weightscope.families.text.llama4_text import APART, SWITCHED
from weightscope.roles import Role
from weightscope.sizes import Size

LLAMA4: dict[str, Any] = {
    "image_token_index": 200092, "architectures": Nullable(list),
    # No field of the class, but transformers passes it on to the attention of all parts.
    "is_causal": Nullable(bool),
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 768, "num_hidden_layers": 34, "num_attention_heads": 16, "num_channels": 3,
    "intermediate_size": 5632, "vision_output_dim": 7680, "image_size": 448, "patch_size": 14,
    "pixel_shuffle_ratio": 0.5, "projector_input_dim": 4096, "projector_output_dim": 4096,
    "rope_theta": 10000.0, "rope_parameters": Nullable(dict),
}  # fmt: skip
# What a root stands for: the prefix of the decoder, which also says how experts lie; mlx-lm leaves out the tower.
TOWERLESS = "as mlx-lm has it"
SPELLINGS = {"as published": "model", "experts apart": APART, TOWERLESS: SWITCHED, "as MLX has it": SWITCHED}


@family(
    "llama4",
    roots=tuple(SPELLINGS),
    parts=(TOWERLESS,),
    defaults=LLAMA4,
    attribute_map={"image_token_id": "image_token_index"},
    needs=("text_config",),
)
def llama4(config: Config, root: str) -> VisionLanguage | CausalLM:
    """The tower's own MLP and `multi_modal_projector` are the bridge."""
    # Here the part decides on tying, whatever the whole says.
    text = replaced(config.nested("text_config"), architectures=config["architectures"])
    model = component_of(text, SPELLINGS[root], "llama4_text")
    assert isinstance(model, CausalLM)
    if root == TOWERLESS:
        return replace(model, name="language_model")
    vision = part(config, "vision_config", VISION)
    tower = encoder(vision)
    side, merge = int(tower.patches.image // tower.patches.patch), merged(vision)
    first, second, out = vision["projector_input_dim"], vision["projector_output_dim"], vision["vision_output_dim"]
    bridge = ShuffledMLP(
        first=matrix("vision_model.vision_adapter.mlp.fc1", vision["intermediate_size"], first),
        second=matrix("vision_model.vision_adapter.mlp.fc2", second, second),
        out=matrix("multi_modal_projector.linear_1", out, model.decoder.embedding.width),
        width=tower.patches.width,
        side=side,
        merge=merge,
    )
    return VisionLanguage(
        eye=CanvasEye(tower=tower, bridge=bridge, each=(side // merge) ** 2, normed=True),
        language=Group(name="language_model", parts=(model,)),
        image_token=int(config["image_token_index"]),
        written="<|image|>",
        refused=not_computed(config, "Llama 4", {"is_causal": (True, None)}),
    )


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
