"""Molmo 2's tower and its bridge. Sources: `Molmo2VisionModel` and `Molmo2Adapter` of transformers."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.attention import Heads, Segments
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.norm import Norm
from weightscope.components.vision.pooled_windows import PoolingBridge, WindowPooling
from weightscope.components.vision.row_patches import RowEncoder, RowPatches
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.multimodal import replaced
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

VISION: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 25, "num_attention_heads": 16,
    "num_key_value_heads": 16, "head_dim": 72, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "image_size": Nullable(list), "patch_size": 14, "num_position_embeddings": Nullable(int), "num_channels": 3,
    "attention_bias": True,
}  # fmt: skip
VISION_NAMES = {
    "image_default_input_size": "image_size", "image_patch_size": "patch_size",
    "image_num_pos": "num_position_embeddings",
}  # fmt: skip
ADAPTER: dict[str, Any] = {
    "vision_feature_layer": Nullable(list), "hidden_size": 1152, "num_attention_heads": 16, "num_key_value_heads": 16,
    "head_dim": 72, "attention_bias": True, "hidden_act": "silu", "intermediate_size": 18944, "text_hidden_size": 3584,
    "mlp_bias": False,
}  # fmt: skip
ADAPTER_NAMES = {"vit_layers": "vision_feature_layer"}


class Names(NamedTuple):
    """How a tower and its bridge are spelled: queries, keys, values and the matrix after them, and so on."""

    tower: str
    bridge: str
    layers: str
    attention: str
    projections: tuple[str, str, str, str]
    feed_forward: str
    matrices: tuple[str, str]
    norms: tuple[str, str]
    gated: tuple[str, str, str]


PUBLISHED = Names(
    tower="model.vision_backbone.image_vit",
    bridge="model.vision_backbone",
    layers="transformer.resblocks",
    attention="attention",
    projections=("wq", "wk", "wv", "wo"),
    feed_forward="feed_forward",
    matrices=("w1", "w2"),
    norms=("attention_norm", "ffn_norm"),
    gated=("w1", "w3", "w2"),
)
HELD = Names(
    tower="model.vision_tower",
    bridge="model.multi_modal_projector",
    layers="layers",
    attention="self_attn",
    projections=("q_proj", "k_proj", "v_proj", "o_proj"),
    feed_forward="mlp",
    matrices=("fc1", "fc2"),
    norms=("layer_norm1", "layer_norm2"),
    gated=("gate_proj", "up_proj", "down_proj"),
)
ROLES = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ)


def parts_of(config: Config) -> tuple[Config, Config, tuple[int, ...]]:
    """The configs of the tower and of the bridge, and the layers whose features the bridge gets, as towers count them.

    Published configs say `vit_config`, and of more layers than are stored: the last is the deepest that is used.

    Raises:
        ConfigError: layers that the tower does not have.
    """
    legacy = config.data.get("vision_config") is None and "vit_config" in config.data
    vision = config.nested("vit_config" if legacy else "vision_config").with_defaults(VISION, VISION_NAMES)
    adapter = config.nested("adapter_config").with_defaults(ADAPTER, ADAPTER_NAMES)
    depth, layers = int(vision["num_hidden_layers"]), adapter["vision_feature_layer"]
    layers = [24, 18] if layers is None else layers
    if not layers or not all(type(layer) is int and -depth <= layer < depth for layer in layers):
        raise adapter.error(f"vision_feature_layer is {layers!r:.60}, which does not name some of {depth:,} layers")
    if legacy:
        layers = [layer % depth for layer in layers]
        vision = replaced(vision, num_hidden_layers=max(layers) + 1).with_defaults(VISION, VISION_NAMES)
    return vision, adapter, tuple(layer + 1 if layer >= 0 else layer for layer in layers)


def patches(vision: Config) -> RowPatches:
    """As many positions as patches of `image_size`, unless the config says how many.

    Raises:
        ConfigError: no size of an image.
    """
    size, patch, count = vision["image_size"], vision["patch_size"], vision["num_position_embeddings"]
    size = [378, 378] if size is None else size
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise vision.error(f"image_size is {size!r:.60}, not a height and a width")
    height, width = (Size(side, "image_size") for side in size)
    return RowPatches(
        name="",
        width=vision["hidden_size"],
        channels=vision["num_channels"],
        image=height,
        patch=patch,
        class_token=False,
        count=(height // patch) * (width // patch) if count is None else count,
    )


def tower(vision: Config, names: Names, patches: RowPatches, *, pre_norm: Norm | None = None) -> RowEncoder:
    """CLIP's layers, without a norm after the last."""
    s, norm, bias = Dims.of(vision), layer_norms(vision["layer_norm_eps"]), vision["attention_bias"]
    block = Block(
        input_norm=norm(names.norms[0], Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            linears(dict(zip(names.projections, ROLES, strict=True)), bias=bias),
            name=names.attention,
            sees=Segments("image"),
        ),
        feed_forward_norm=norm(names.norms[1], Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(
            s.width,
            vision["intermediate_size"],
            vision["hidden_act"],
            name=names.feed_forward,
            names=names.matrices,
            bias=True,
        ),
    )
    return RowEncoder(
        name=names.tower,
        patches=patches,
        pre_norm=pre_norm,
        blocks=(Repeat(name=names.layers, indices=range(s.depth), child=block),),
        post_norm=None,
    )


def bridge(adapter: Config, names: Names, encoder: RowEncoder, layers: int) -> PoolingBridge:
    """Features of several layers side by side."""
    width, bias = adapter["hidden_size"], adapter["attention_bias"]
    heads = Heads(count=adapter["num_attention_heads"], keys=adapter["num_key_value_heads"], size=adapter["head_dim"])
    return PoolingBridge(
        name=names.bridge,
        pooling=WindowPooling(
            name="image_pooling_2d",
            projections=linears(dict(zip(names.projections, ROLES, strict=True)), bias=bias),
            width=width * layers,
            heads=heads,
            out_width=width,
        ),
        projector=projector(adapter, names),
        features=encoder.patches.width * layers,
    )


def projector(adapter: Config, names: Names) -> GatedMLP:
    """From the bridge's width to the language model's; the last matrix has no bias."""
    gate, up, down = names.gated
    bias = adapter["mlp_bias"]
    return GatedMLP(
        name="image_projector",
        items=(
            Linear(gate, Role.GATE_PROJ, bias=bias),
            Linear(up, Role.UP_PROJ, bias=bias),
            Linear(down, Role.DOWN_PROJ),
        ),
        width=adapter["hidden_size"],
        inner=adapter["intermediate_size"],
        activation=adapter["hidden_act"],
        outputs=adapter["text_hidden_size"],
    )
