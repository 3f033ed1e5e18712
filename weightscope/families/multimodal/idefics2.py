"""Idefics 2 (arXiv 2405.02246): images of any shape, and a perceiver that makes as many vectors of each.

Source: `Idefics2Config` of transformers.
"""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.decoder import Block
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.resampled_eye import ResampledEye, ResamplingBridge
from weightscope.config import Config
from weightscope.families.common.parts import linears
from weightscope.families.registry import family
from weightscope.families.siblings.idefics import SPELLINGS, TOWER, WHOLE, tower_and_language
from weightscope.families.siblings.perceiver import GATED, resampler


@family("idefics2", roots=tuple(SPELLINGS), defaults=WHOLE, needs=("text_config", "vision_config"))
def idefics2(config: Config, root: str) -> VisionLanguage:
    """A gated MLP as wide as the language model's brings features to its width; latents attend to them."""
    language, decoder, eye, bridge = SPELLINGS[root]
    tower, model = tower_and_language(config, TOWER, (eye, decoder), "mistral")
    block = model.decoder.blocks[0].child if model.decoder.blocks else None
    language_mlp = block.feed_forward if isinstance(block, Block) else None
    if not isinstance(language_mlp, GatedMLP):
        raise config.undeclared("Idefics 2 with a language model whose MLP has no gate is not declared")
    widen = GatedMLP(
        name="modality_projection",
        items=linears(GATED),
        width=tower.patches.width,
        inner=language_mlp.inner,
        outputs=model.decoder.embedding.width,
        activation=language_mlp.activation,
    )
    return VisionLanguage(
        eye=ResampledEye(
            tower=tower, bridge=ResamplingBridge(name=bridge, widen=widen, resampler=resampler(config, model))
        ),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
    )
