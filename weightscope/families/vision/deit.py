"""DeiT (arXiv 2012.12877): ViT that also learns from a teacher. Source: `DeiTConfig` of transformers."""

from __future__ import annotations

from weightscope.components.embedding import Classifier
from weightscope.components.vision.distilled import DistilledPatches, TaughtHead
from weightscope.components.vision.normed_encoder import NormedEncoder
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.vit import NEEDS, POOLED, SPELLINGS, classes, vit_encoder


@family("deit", roots=tuple(SPELLINGS), defaults=POOLED, needs=NEEDS, base="deit")
def deit(config: Config, root: str) -> NormedEncoder:
    """A distillation vector behind the class vector; with a teacher each of them has classes of its own."""
    width, labels = config["hidden_size"], config.labels
    taught = TaughtHead(
        of="marks",
        out=Classifier(name="cls_classifier", labels=labels, width=width, bias=True),
        second=Classifier(name="distillation_classifier", labels=labels, width=width, bias=True),
    )
    heads = {"ImageClassification": classes(config, width), "ImageClassificationWithTeacher": taught}
    return vit_encoder(config, root, "deit", heads, patches=DistilledPatches, prepared_by="DeiTImageProcessor")
