"""ViT (arXiv 2010.11929). Source: `ViTConfig` of transformers."""

from __future__ import annotations

from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.encoder_heads import Dense, EncoderHead
from weightscope.components.projection import Projection
from weightscope.components.vision.marked_patches import MarkedPatches
from weightscope.components.vision.normed_encoder import NormedEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import mlp
from weightscope.families.registry import family
from weightscope.families.siblings.vit import BY_BERT, HELD, NEEDS, VIT, classes, vit_attention
from weightscope.roles import Role

DEFAULTS = VIT | {
    "intermediate_size": 3072, "layer_norm_eps": 1e-12, "patch_size": 16, "pooler_output_size": Nullable(int),
    "pooler_act": "tanh",
}  # fmt: skip
# What a root stands for: the layers' name, and those within them.
SPELLINGS = {
    "as published": ("encoder.layer", BY_BERT, "", ("intermediate.dense", "output.dense")),
    "as transformers 5 holds it": ("layers", HELD, "mlp", ("fc1", "fc2")),
}


@family("vit", roots=tuple(SPELLINGS), defaults=DEFAULTS, needs=NEEDS)
def vit(config: Config, root: str) -> NormedEncoder:
    """Alone it has a pooler; with classes it has none, and lies below `vit`."""
    layers, names, within, matrices = SPELLINGS[root]
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    if config.task not in ("", "ImageClassification"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    above = "vit." if config.task else ""
    block = Block(
        input_norm=norm("layernorm_before", Role.INPUT_NORM, s.width),
        attention=vit_attention(config, s, names),
        feed_forward_norm=norm("layernorm_after", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(
            s.width, config["intermediate_size"], config["hidden_act"], name=within, names=matrices, bias=True
        ),
    )
    size = config["pooler_output_size"] or s.width
    dense = Projection(name="pooler.dense", inputs=s.width, outputs=size, bias=True, role=Role.OUTPUT_PROJ)
    pooler = EncoderHead(of="first", before=Dense(dense=dense, activation=config["pooler_act"]))
    return NormedEncoder(
        name="",
        patches=MarkedPatches(
            name=f"{above}embeddings",
            width=s.width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
        ),
        pre_norm=None,
        blocks=(Repeat(name=f"{above}{layers}", indices=range(s.depth), child=block),),
        post_norm=norm(f"{above}layernorm", Role.FINAL_NORM, s.width),
        head=classes(config, s.width) if config.task else pooler,
    )
