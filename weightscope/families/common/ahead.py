"""Layers that predict further tokens ahead, under the names that families publish them with."""

from __future__ import annotations

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block
from weightscope.components.norm import RMSNorm
from weightscope.components.prediction.mtp import MultiTokenPrediction
from weightscope.components.vision.projector import Projection
from weightscope.config import Config
from weightscope.roles import Role, Section
from weightscope.storage.base import join


def numbered_ahead(config: Config, prefix: str, block: Block, *, copies: bool = True) -> tuple[Component, ...]:
    """DeepSeek-V3's: they count on from `num_hidden_layers`."""
    depth, count = config["num_hidden_layers"], config["num_nextn_predict_layers"] or 0
    mtp = MultiTokenPrediction(
        width=config["hidden_size"],
        vocabulary=config["vocab_size"],
        eps=config["rms_norm_eps"],
        block=block,
        copies=copies,
    )
    return (Repeat(name=join(prefix, "layers"), indices=range(depth, depth + count), child=mtp),)


def parts_ahead(config: Config, prefix: str, block: Block) -> tuple[Component, ...]:
    """ERNIE 4.5's: each part numbered by itself, embedding and head those of the main model."""
    width, eps, count = config["hidden_size"], config["rms_norm_eps"], config["num_nextn_predict_layers"] or 0
    parts = {
        "mtp_emb_norm": RMSNorm(name="", role=Role.EMBEDDING_NORM, size=width, eps=eps),
        "mtp_hidden_norm": RMSNorm(name="", role=Role.NORM, size=width, eps=eps),
        "mtp_linear_proj": Projection(name="", inputs=width * 2, outputs=width, bias=False, role=Role.MTP_PROJ),
        "mtp_block": block,
    }
    return tuple(
        Repeat(name=join(prefix, name), indices=range(count), child=part, section=Section.MTP, auxiliary=True)
        for name, part in parts.items()
    )
