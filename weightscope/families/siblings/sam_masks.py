"""SAM's prompts and decoder of masks, by their configs."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.heads import Heads
from weightscope.components.base import Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.projection import Projection
from weightscope.components.vision.mask_decoder import MaskDecoder, TwoWay, TwoWayBlock
from weightscope.components.vision.mask_parts import DeepMLP, Growing, Looking, Shrinking
from weightscope.components.vision.mask_prompts import MaskCode, PlaceCode, PromptEncoder
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.dims import depth_of
from weightscope.families.common.parts import mlp
from weightscope.roles import Role
from weightscope.sizes import Size

PROMPTS: dict[str, Any] = {
    "hidden_size": 256, "image_size": 1024, "patch_size": 16, "mask_input_channels": 16, "num_point_embeddings": 4,
    "hidden_act": "gelu", "layer_norm_eps": 1e-6,
}  # fmt: skip
DECODER: dict[str, Any] = {
    "hidden_size": 256, "hidden_act": "relu", "mlp_dim": 2048, "num_hidden_layers": 2, "num_attention_heads": 8,
    "attention_downsample_rate": 2, "num_multimask_outputs": 3, "iou_head_depth": 3, "iou_head_hidden_dim": 256,
    "layer_norm_eps": 1e-6,
}  # fmt: skip
ONE = Size(1)
# How much narrower attention between tokens and image is, whatever the config says of the last one.
HALF = Size(2)


def prompt_encoder(config: Config, features: Size, *, tied: bool) -> PromptEncoder:
    """Points and corners have a vector for each kind; a mask goes through three convolutions."""
    width, channels, norm = config["hidden_size"], config["mask_input_channels"], layer_norms(config["layer_norm_eps"])
    few = channels // 4
    return PromptEncoder(
        name="prompt_encoder",
        image=config["image_size"],
        features=features,
        points=Repeat(
            name="point_embed", indices=range(config["num_point_embeddings"]), child=_vector("", width), of="part"
        ),
        no_point=_vector("not_a_point_embed", width),
        no_mask=_vector("no_mask_embed", width),
        mask=MaskCode(
            name="mask_embed",
            first=Shrinking(name="conv1", inputs=ONE, outputs=few, side=2),
            first_norm=norm("layer_norm1", Role.NORM, few),
            second=Shrinking(name="conv2", inputs=few, outputs=channels, side=2),
            second_norm=norm("layer_norm2", Role.NORM, few * 4),
            last=Shrinking(name="conv3", inputs=channels, outputs=width, side=1),
            activation=config["hidden_act"],
        ),
        own=None if tied else PlaceCode(name="shared_embedding", features=features),
    )


def mask_decoder(config: Config, side: int) -> MaskDecoder:
    """The last attention is narrower by `attention_downsample_rate`."""
    width, masks = config["hidden_size"], config["num_multimask_outputs"] + 1
    quarter, eighth = width // 4, width // 8
    mlps = _deep("", width, width, eighth, 3)
    return MaskDecoder(
        name="mask_decoder",
        side=side,
        score_token=_vector("iou_token", width),
        mask_tokens=_vector("mask_tokens", width, rows=masks),
        transformer=TwoWay(
            name="transformer",
            blocks=numbered("layers", depth_of(config), lambda i: _block(config, first=i == 0)),
            last=_looking(config, "final_attn_token_to_image", config["attention_downsample_rate"]),
            norm=layer_norms(1e-5)("layer_norm_final_attn", Role.FINAL_NORM, width),
        ),
        grow=Growing(name="upscale_conv1", inputs=width, outputs=quarter),
        grow_norm=layer_norms(1e-6)("upscale_layer_norm", Role.NORM, quarter),
        grow_again=Growing(name="upscale_conv2", inputs=quarter, outputs=eighth),
        mlps=Repeat(name="output_hypernetworks_mlps", indices=range(masks), child=mlps, of="part"),
        score=_deep("iou_prediction_head", width, config["iou_head_hidden_dim"], masks, config["iou_head_depth"]),
    )


def _block(config: Config, *, first: bool) -> TwoWayBlock:
    width, norm = config["hidden_size"], layer_norms(config["layer_norm_eps"])
    roles = (Role.POST_ATTENTION_NORM, Role.CROSS_NORM, Role.POST_FEEDFORWARD_NORM, Role.CROSS_NORM)
    one, two, three, four = (norm(f"layer_norm{i}", role, width) for i, role in enumerate(roles, 1))
    return TwoWayBlock(
        first=first,
        itself=_looking(config, "self_attn", ONE),
        at_image=_looking(config, "cross_attn_token_to_image", HALF),
        at_tokens=_looking(config, "cross_attn_image_to_token", HALF),
        mlp=mlp(width, config["mlp_dim"], config["hidden_act"], names=("lin1", "lin2"), bias=True),
        norms=(one, two, three, four),
    )


def _looking(config: Config, name: str, rate: Size) -> Looking:
    """Raise a ConfigError where the heads do not share the width."""
    width, count = config["hidden_size"], config["num_attention_heads"]
    inner = width if rate == 1 else width // rate
    if inner % count:
        raise config.error(f"{count.text} is {count:,}, which does not divide {inner:,} ({inner.text})")
    return Looking(name=name, width=width, heads=Heads(count=count, keys=count, size=inner // count))


def _deep(name: str, inputs: Size, inner: Size, outputs: Size, depth: int) -> DeepMLP:
    between = Projection(name="", inputs=inner, outputs=inner, bias=True, role=Role.UP_PROJ)
    return DeepMLP(
        name=name,
        first=Projection(name="proj_in", inputs=inputs, outputs=inner, bias=True, role=Role.IN_PROJ),
        between=Repeat(name="layers", indices=range(max(int(depth) - 2, 0)), child=between, of="part"),
        last=Projection(name="proj_out", inputs=inner, outputs=outputs, bias=True, role=Role.OUT_PROJ),
    )


def _vector(name: str, width: Size, *, rows: Size = ONE) -> Embedding:
    return Embedding(name=name, role=Role.POINT_EMBEDDING, rows=rows, width=width)
