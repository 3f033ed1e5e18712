"""SAM's image encoder by the keys that its classes share (arXiv 2304.02643)."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import Block
from weightscope.components.vision.convolved import Convolved
from weightscope.components.vision.sam import Neck, SamEncoder, SquarePatches, SquareWindows
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.dims import depth_of
from weightscope.families.common.numbers import listed
from weightscope.families.common.parts import mlp
from weightscope.roles import Role
from weightscope.sizes import Size

SAM: dict[str, Any] = {
    "hidden_size": 768, "output_channels": 256, "num_hidden_layers": 12, "num_attention_heads": 12, "num_channels": 3,
    "image_size": 1024, "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": True,
    "use_abs_pos": True, "use_rel_pos": True, "window_size": 14, "global_attn_indexes": [2, 5, 8, 11], "mlp_dim": 3072,
}  # fmt: skip
# Of SAM's own class.
SAM_ALONE = SAM | {"mlp_dim": Nullable(int), "mlp_ratio": 4.0}


def sam_encoder(config: Config, name: str) -> SamEncoder:
    """Layers of `global_attn_indexes` see the whole image, the others windows of `window_size` patches."""
    width, side = config["hidden_size"], config["image_size"] // config["patch_size"]
    whole, window = listed(config, "global_attn_indexes"), config["window_size"]
    norm, inner = layer_norms(config["layer_norm_eps"]), config["mlp_dim"]
    if inner is None:
        inner = Size(int(int(width) * config["mlp_ratio"]), f"{width.text}·mlp_ratio", width.keys)

    def layer(i: int) -> Block:
        return Block(
            input_norm=norm("layer_norm1", Role.INPUT_NORM, width),
            attention=SquareWindows(
                name="attn",
                width=width,
                count=config["num_attention_heads"],
                side=side,
                size=side if i in whole or not window else window,
                bias=config["qkv_bias"],
                relative=config["use_rel_pos"],
            ),
            feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, width),
            feed_forward=mlp(width, inner, config["hidden_act"], names=("lin1", "lin2"), bias=True),
        )

    return SamEncoder(
        name=name,
        image=config["image_size"],
        patches=SquarePatches(
            width=width,
            channels=config["num_channels"],
            side=side,
            patch=config["patch_size"],
            placed=config["use_abs_pos"],
        ),
        blocks=numbered("layers", depth_of(config), layer),
        neck=sam_neck(config, "neck"),
    )


def sam_neck(config: Config, name: str) -> Neck:
    """From the layers' width to `output_channels`."""
    width, channels, norm = config["hidden_size"], config["output_channels"], layer_norms(1e-6)
    return Neck(
        name=name,
        first=Convolved(name="conv1", inputs=width, outputs=channels, kernel=1),
        first_norm=norm("layer_norm1", Role.NORM, channels),
        second=Convolved(name="conv2", inputs=channels, outputs=channels, kernel=3),
        second_norm=norm("layer_norm2", Role.NORM, channels),
    )
