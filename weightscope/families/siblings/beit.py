"""BEiT's layers and tower, as published and as transformers 5 holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.attention.relative_grid import RelativeGrid
from weightscope.components.attention.shared_table import SharedTable
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.embedding import Classifier
from weightscope.components.encoder_heads import EncoderHead, OfImage
from weightscope.components.layer_scale import LayerScale
from weightscope.components.projection import Projection
from weightscope.components.vision.beit import BeitEncoder
from weightscope.components.vision.marked_patches import MarkedPatches
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import mlp
from weightscope.families.common.refusals import refuse_backbone
from weightscope.families.siblings import vit
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import join
from weightscope.storage.linear import Linear

BEIT: dict[str, Any] = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
    "hidden_act": "gelu", "layer_norm_eps": 1e-12, "image_size": 224, "patch_size": 16, "num_channels": 3,
    "use_mask_token": False, "use_absolute_position_embeddings": False, "use_relative_position_bias": False,
    "use_shared_relative_position_bias": False, "layer_scale_init_value": 0.1, "use_mean_pooling": True,
}  # fmt: skip
GROUP = "all layers"


class Spelling(NamedTuple):
    """The layers' and matrices' names, what a layer's own table lies below, and what the shared one."""

    vit: vit.Spelling
    own: str
    shared: str

    def own_names(self) -> tuple[str, str]:
        """Of a layer's table, and of the buffer beside it."""
        below = join(self.own, "relative_position_bias")
        return f"{below}.{TABLE}", f"{below}.{INDEX}"


TABLE, INDEX = "relative_position_bias_table", "relative_position_index"
SPELLINGS = {
    "as published": Spelling(vit.SPELLINGS["as published"], "attention.attention", "encoder.relative_position_bias"),
    "as transformers 5 holds it": Spelling(vit.SPELLINGS["as transformers 5 holds it"], "", "shared_position_bias"),
}


def beit_encoder(config: Config, root: str, below: str, heads: Mapping[str, EncoderHead | None]) -> BeitEncoder:
    """With mean pooling there is a norm after the mean in the place of the last one; `heads` are more than it has.

    Raises:
        UndeclaredError: a head that is none of `heads` and no image's classes.
    """
    refuse_backbone(config)
    width, norm = config["hidden_size"], layer_norms(config["layer_norm_eps"])
    means, task = config["use_mean_pooling"], config.task
    above = f"{below}." if task else ""
    of: OfImage = "mean" if means else "first"
    pool = norm(f"{above}pooler.layernorm", Role.FINAL_NORM, width) if means else None
    scores = Classifier(name="classifier", labels=config.labels, width=width, bias=True)
    pooled = EncoderHead(of=of, before=pool)
    classified = EncoderHead(of=of, before=pool, out=scores)
    known: dict[str, EncoderHead | None] = {"": pooled, "ImageClassification": classified, **heads}
    if task not in known:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    side = config["image_size"] // config["patch_size"]
    everywhere = RelativeGrid(rows=side, columns=side, marked=True, table=TABLE, index=INDEX, group=GROUP)
    shared = SharedTable(
        name=f"{above}{SPELLINGS[root].shared}", distances=everywhere, heads=config["num_attention_heads"]
    )
    return BeitEncoder(
        name="",
        patches=MarkedPatches(
            name=f"{above}embeddings",
            width=width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
            learned=config["use_absolute_position_embeddings"],
            mask=2 if config["use_mask_token"] else None,
        ),
        shared=shared if config["use_shared_relative_position_bias"] else None,
        pre_norm=None,
        blocks=beit_layers(config, root, above, side),
        post_norm=None if means else norm(f"{above}layernorm", Role.FINAL_NORM, width),
        head=known[task],
    )


def beit_layers(config: Config, root: str, above: str, side: Size) -> tuple[Repeat, ...]:
    """Keys have no bias; what each half adds is scaled unless `layer_scale_init_value` is 0."""
    spelling, s, norm = SPELLINGS[root], Dims.of(config), layer_norms(config["layer_norm_eps"])
    table, index = spelling.own_names() if config["use_relative_position_bias"] else ("", "")
    group = GROUP if config["use_shared_relative_position_bias"] else ""
    distances = RelativeGrid(rows=side, columns=side, marked=True, table=table, index=index, group=group)
    names = [f"attention.{name}" for name in spelling.vit.attention]
    roles = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ)
    scaled = config["layer_scale_init_value"] > 0
    block = Block(
        input_norm=norm("layernorm_before", Role.INPUT_NORM, s.width),
        attention=Attention(
            name="",
            projections=tuple(
                Linear(name, role, bias=role is not Role.K_PROJ) for name, role in zip(names, roles, strict=True)
            ),
            width=s.width,
            heads=s.heads,
            positions=distances if table or group else None,
            sees=Segments("image"),
        ),
        attention_out_norm=LayerScale(parameter="lambda_1", size=s.width) if scaled else None,
        feed_forward_norm=norm("layernorm_after", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(
            s.width,
            config["intermediate_size"],
            config["hidden_act"],
            name=spelling.vit.mlp,
            names=spelling.vit.matrices,
            bias=True,
        ),
        feed_forward_out_norm=LayerScale(parameter="lambda_2", size=s.width) if scaled else None,
    )
    return (Repeat(name=f"{above}{spelling.vit.layers}", indices=range(s.depth), child=block),)


def masked_words(config: Config) -> EncoderHead:
    """A norm, then scores of the visual words for each patch."""
    width, words = config["hidden_size"], config["vocab_size"]
    scores = Projection(name="lm_head", inputs=width, outputs=words, bias=True, role=Role.CLASSIFIER)
    norm = layer_norms(config["layer_norm_eps"])("layernorm", Role.FINAL_NORM, width)
    return EncoderHead(of="patches", before=norm, out=scores)
