"""Meta's Perception Encoder (arXiv 2504.13181) as timm builds it, by the `model_args` of a `TimmWrapperConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Attention, Heads, Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.layer_scale import LayerScale
from weightscope.components.vision.timm_patches import GridEncoder, TimmPatches
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, layer_norms
from weightscope.families.common.multimodal import part
from weightscope.families.common.parts import mlp
from weightscope.families.siblings.qwen_vl import FUSED
from weightscope.roles import Role
from weightscope.sizes import Size, size

WRAPPER: dict[str, Any] = {"architecture": "resnet50", "model_args": Nullable(dict)}
# timm's arguments that are declared, as its models have them.
CORE: dict[str, Any] = {
    "patch_size": 14, "img_size": Nullable(object, 336), "in_chans": 3, "embed_dim": 1024, "depth": 24, "num_heads": 16,
    "mlp_ratio": 4.0, "class_token": True, "global_pool": "map", "use_post_transformer_norm": Nullable(bool),
    "use_fc_norm": Nullable(bool), "init_values": Nullable(float), "rope_grid_offset": 1.0,
    "ref_feat_shape": Nullable(object, 24),
}  # fmt: skip
LARGER: dict[str, Any] = CORE | {
    "img_size": Nullable(object, 448), "embed_dim": 1536, "depth": 50, "mlp_ratio": 8960 / 1536, "class_token": False,
    "rope_grid_offset": 0.0, "ref_feat_shape": Nullable(object, 32),
}  # fmt: skip
LANG: dict[str, Any] = {
    "img_size": Nullable(object, 448), "ref_feat_shape": Nullable(object, 32), "init_values": Nullable(float, 0.1),
    "global_pool": "avg", "use_post_transformer_norm": Nullable(bool, False), "use_fc_norm": Nullable(bool, False),
}  # fmt: skip
VARIANTS = {
    "vit_pe_core_large_patch14_336": CORE,
    "vit_pe_core_gigantic_patch14_448": LARGER,
    "vit_pe_lang_large_patch14_448": CORE | LANG | {"depth": 23},
    "vit_pe_lang_gigantic_patch14_448": LARGER | LANG | {"depth": 47},
}


def perception_encoder(config: Config, name: str) -> GridEncoder:
    """The tower that a wrapper's config asks timm for.

    Raises:
        UndeclaredError: another model, another argument of timm, or a head, by name.
        ConfigError: an argument has a value that no such model has.
    """
    wrapper = config.with_defaults(WRAPPER)
    variant = VARIANTS.get(wrapper["architecture"])
    if variant is None:
        raise config.undeclared(
            f"Perception-LM with {config.prefix}architecture {wrapper['architecture']!r:.60} is not declared"
        )
    args = part(wrapper, "model_args", variant)
    for key in args.data:
        if key not in variant:
            raise config.undeclared(
                f"Perception-LM with the argument {key:.60} of timm ({args.prefix}) is not declared"
            )
    headed = args["use_fc_norm"] if args["use_fc_norm"] is not None else args["global_pool"] == "avg"
    if headed or args["global_pool"] == "map":
        raise config.undeclared(f"Perception-LM with {args.prefix}global_pool {args['global_pool']!r} is not declared")
    width, norm, last = args["embed_dim"], layer_norms(1e-5), args["use_post_transformer_norm"]
    return GridEncoder(
        name=name,
        patches=TimmPatches(
            width=width,
            channels=args["in_chans"],
            image=_square(args, "img_size"),
            patch=args["patch_size"],
            class_token=args["class_token"],
        ),
        pre_norm=norm("norm_pre", Role.EMBEDDING_NORM, width),
        blocks=(Repeat(name="blocks", indices=range(depth_of(args, "depth")), child=_block(args)),),
        post_norm=norm("norm", Role.FINAL_NORM, width) if last is None or last else None,
        first=float(args["rope_grid_offset"]),
        stretched=None if args["ref_feat_shape"] is None else int(_square(args, "ref_feat_shape")),
    )


def _block(args: Config) -> Block:
    """Heads turn neighbours, half by column and half by row; each half may be scaled."""
    width, count, norm = args["embed_dim"], args["num_heads"], layer_norms(1e-5)
    if width % (4 * count):
        raise args.error(f"{width.text} {width:,} must be a multiple of 4 · {count.text} ({count:,})")
    first, second = (
        LayerScale(parameter=parameter, size=width) if args["init_values"] is not None else None
        for parameter in ("gamma_1", "gamma_2")
    )
    inner = size(int(width * args["mlp_ratio"]))
    return Block(
        input_norm=norm("norm1", Role.INPUT_NORM, width),
        attention=Attention(
            name="attn",
            projections=FUSED,
            width=width,
            heads=Heads(count=count, keys=count, size=width // count),
            positions=Axial(dim=int(width // count), interleaved=True),
            sees=Segments("image"),
        ),
        attention_out_norm=first,
        feed_forward_norm=norm("norm2", Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp(width, inner, "gelu", names=("fc1", "fc2"), bias=True),
        feed_forward_out_norm=second,
    )


def _square(args: Config, key: str) -> Size:
    """The side of a square, given once or twice.

    Raises:
        UndeclaredError: two different sides.
        ConfigError: something else.
    """
    value = args[key]
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise args.error(f"{args.prefix}{key} is {value!r:.60}, not one or two positive whole numbers")
    if sides[0] != sides[1]:
        raise args.undeclared(f"a {args.prefix}{key} of {sides[0]:,} × {sides[1]:,} is not declared")
    return Size(sides[0], f"{args.prefix}{key}")
