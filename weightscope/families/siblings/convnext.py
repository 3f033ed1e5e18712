"""ConvNeXt's stages and encoder."""

from __future__ import annotations

from weightscope.components.base import Repeat
from weightscope.components.embedding import Classifier
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.layer_scale import LayerScale
from weightscope.components.vision.convnext import ConvBlock, Downsampling, ResponseNorm
from weightscope.components.vision.plane_patches import PlanePatches
from weightscope.components.vision.staged import Stage, StagedEncoder
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.parts import mlp
from weightscope.families.common.refusals import refuse_backbone
from weightscope.families.common.stages import depths_of, sizes_of
from weightscope.roles import Role
from weightscope.sizes import Size

# Of all norms but the last.
NORM = layer_norms(1e-6)


def encoder(config: Config, root: str, below: str, *, scaled: bool, normed: bool) -> StagedEncoder:
    """Each stage but the first halves both sides; the last norm acts on the mean of all places."""
    refuse_backbone(config)
    count, widths = config["num_stages"], sizes_of(config, "hidden_sizes")
    depths = depths_of(config)[:count]
    if not count == len(depths) == len(widths):
        raise config.error(f"num_stages is {count:,}; 'depths' has {len(depths):,}, 'hidden_sizes' {len(widths):,}")
    above = f"{root}{below}." if config.task else root
    if config.task not in ("", "ImageClassification"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    stages = []
    for number, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        block = _block(config, width, scaled=scaled, normed=normed)
        stage = Stage(
            enter=_between(widths[number - 1], width) if number else None,
            blocks=(Repeat(name="layers", indices=range(depth), child=block),),
        )
        stages.append(Repeat(name=f"{above}encoder.stages", indices=(number,), child=stage, of="part"))
    scores = Classifier(name="classifier", labels=config.labels, width=widths[-1], bias=True)
    last_norm = layer_norms(config["layer_norm_eps"])(f"{above}layernorm", Role.FINAL_NORM, widths[-1])
    return StagedEncoder(
        patches=PlanePatches(
            name=f"{above}embeddings",
            projection="patch_embeddings",
            width=widths[0],
            channels=config["num_channels"],
            patch=config["patch_size"],
            norm=NORM("layernorm", Role.EMBEDDING_NORM, widths[0]),
            least=2 ** (len(depths) - 1),
        ),
        stages=tuple(stages),
        post_norm=None,
        head=EncoderHead(of="mean", before=last_norm, out=scores if config.task else None),
        image=config["image_size"],
        prepared_by="ConvNextImageProcessor",
    )


def _between(inputs: Size, outputs: Size) -> Downsampling:
    norm = NORM("0", Role.INPUT_NORM, inputs)
    return Downsampling(name="downsampling_layer", inputs=inputs, outputs=outputs, norm=norm)


def _block(config: Config, width: Size, *, scaled: bool, normed: bool) -> ConvBlock:
    activation = config["hidden_act"]
    response = ResponseNorm(name="grn", activation=activation, size=width * 4)
    return ConvBlock(
        width=width,
        norm=NORM("layernorm", Role.INPUT_NORM, width),
        mlp=mlp(
            width,
            None,
            activation,
            name="",
            names=("pwconv1", "pwconv2"),
            bias=True,
            learned=response if normed else None,
        ),
        scale=LayerScale(parameter="layer_scale_parameter", size=width) if scaled else None,
    )
