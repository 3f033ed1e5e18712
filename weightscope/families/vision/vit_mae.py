"""ViT-MAE (arXiv 2111.06377). Source: `ViTMAEConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Heads
from weightscope.components.base import Repeat
from weightscope.components.projection import Projection
from weightscope.components.vision.mae import KeptPatches, MaeDecoder, MaeEncoder
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.dims import depth_of
from weightscope.families.registry import family
from weightscope.families.siblings import vit
from weightscope.roles import Role

MAE: dict[str, Any] = vit.VIT | {
    "intermediate_size": 3072, "layer_norm_eps": 1e-12, "patch_size": 16, "decoder_num_attention_heads": 16,
    "decoder_hidden_size": 512, "decoder_num_hidden_layers": 8, "decoder_intermediate_size": 2048, "mask_ratio": 0.75,
}  # fmt: skip
PUBLISHED, HELD = vit.SPELLINGS.values()
# What a root stands for: the names of the layers, and of those of the decoder, which 5.23 saves as no file has them.
SPELLINGS = {
    "as published": (PUBLISHED, "decoder_layers"),
    "as transformers 5 holds it": (HELD, "decoder_layers"),
    "as transformers 5.23 saves it": (PUBLISHED, "decoder_encoder.layer"),
}


@family("vit_mae", roots=tuple(SPELLINGS), defaults=MAE, needs=vit.NEEDS, base="vit")
def vit_mae(config: Config, root: str) -> MaeEncoder:
    """`mask_ratio` of the patches are not encoded; for pre-training a decoder predicts the pixels of all."""
    if config.task not in ("", "PreTraining"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    ratio, width = config["mask_ratio"], config["hidden_size"]
    if not 0 <= ratio <= 1:
        raise config.error(f"'mask_ratio' is {ratio:g}, not a share from 0 to 1")
    spelling, _ = SPELLINGS[root]
    above = "vit." if config.task else ""
    side = config["image_size"] // config["patch_size"]
    return MaeEncoder(
        name="",
        patches=KeptPatches(
            name=f"{above}embeddings",
            width=width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
            kept=int(side**2 * (1 - ratio)),
        ),
        pre_norm=None,
        blocks=vit.vit_layers(config, spelling, above),
        post_norm=layer_norms(config["layer_norm_eps"])(f"{above}layernorm", Role.FINAL_NORM, width),
        decoder=decoder(config, root) if config.task else None,
    )


def decoder(config: Config, root: str) -> MaeDecoder:
    """Layers of its own sizes, all else as in the encoder."""
    spelling, layers = SPELLINGS[root]
    outer, width, count = config["hidden_size"], config["decoder_hidden_size"], config["decoder_num_attention_heads"]
    size = config["head_dim"]
    s = Dims(
        width=width,
        depth=depth_of(config, "decoder_num_hidden_layers"),
        heads=Heads(count=count, keys=count, size=width // count if size is None else size),
    )
    block = vit.vit_block(config, spelling, s, config["decoder_intermediate_size"])
    side = config["image_size"] // config["patch_size"]
    pixels = config["patch_size"] * config["patch_size"] * config["num_channels"]
    return MaeDecoder(
        name="decoder",
        width=width,
        positions=side * side + 1,
        embed=Projection(name="decoder_embed", inputs=outer, outputs=width, bias=True, role=Role.EMBEDDING_PROJ),
        blocks=(Repeat(name=layers, indices=range(s.depth), child=block),),
        norm=layer_norms(config["layer_norm_eps"])("decoder_norm", Role.FINAL_NORM, width),
        predict=Projection(name="decoder_pred", inputs=width, outputs=pixels, bias=True, role=Role.OUTPUT_PROJ),
    )
