"""Layers that predict further tokens ahead, under the names that families publish them with."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding, Head
from weightscope.components.norm import Norm
from weightscope.components.prediction.next_tokens import NextTokens
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common.norms import rms_norms
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import join


def numbered_ahead(config: Config, prefix: str, block: Block, *, copies: bool = True) -> tuple[Component, ...]:
    """DeepSeek-V3's: they count on from `num_hidden_layers`, and have copies of the embedding and the head.

    Without `copies` these may be left out (GLM-5).
    """
    depth, count, norm = config["num_hidden_layers"], _count(config), rms_norms(config["rms_norm_eps"])
    rows, width = config["vocab_size"], config["hidden_size"]
    parts = (
        Embedding(name="embed_tokens", rows=rows, width=width, optional=not copies),
        norm("enorm", Role.EMBEDDING_NORM, width),
        norm("hnorm", Role.NORM, width),
        block,
        norm("shared_head.norm", Role.FINAL_NORM, width),
        Head(name="shared_head.head", vocabulary=rows, width=width, tied=False, optional=not copies),
    )
    ahead = NextTokens(joined="eh_proj", width=width, parts=parts)
    return (Repeat(name=join(prefix, "layers"), indices=range(depth, depth + count), child=ahead),)


def shared_ahead(config: Config, prefix: str, block: Block) -> tuple[Component, ...]:
    """MiMo's (arXiv 2505.07608, section 2.3): embedding and head are those of the main model."""
    width, norm = config["hidden_size"], rms_norms(config["rms_norm_eps"])
    parts = (
        norm("token_layernorm", Role.EMBEDDING_NORM, width),
        norm("hidden_layernorm", Role.NORM, width),
        block,
        norm("final_layernorm", Role.FINAL_NORM, width),
    )
    ahead = NextTokens(joined="input_proj", width=width, parts=parts)
    return (Repeat(name=join(prefix, "mtp_layers"), indices=range(_count(config)), child=ahead),)


def parts_ahead(config: Config, prefix: str, block: Block) -> tuple[Component, ...]:
    """ERNIE 4.5's: each part numbered by itself, embedding and head those of the main model."""
    width, norm = config["hidden_size"], rms_norms(config["rms_norm_eps"])
    parts = {
        "mtp_emb_norm": norm("", Role.EMBEDDING_NORM, width),
        "mtp_hidden_norm": norm("", Role.NORM, width),
        "mtp_linear_proj": Projection(name="", inputs=width * 2, outputs=width, bias=False, role=Role.MTP_PROJ),
        "mtp_block": block,
    }
    numbers = range(_count(config))
    return tuple(
        Repeat(name=join(prefix, name), indices=numbers, child=part, section=Section.MTP, auxiliary=True)
        for name, part in parts.items()
    )


def joint_ahead(
    norm: Callable[[str, Role, Size], Norm], width: Size, block: Block, count: int
) -> tuple[NextTokens, ...]:
    """Qwen's: `count` blocks after one matrix, if there are any; embedding and head are those of the main model."""
    parts = (
        norm("pre_fc_norm_embedding", Role.EMBEDDING_NORM, width),
        norm("pre_fc_norm_hidden", Role.NORM, width),
        Repeat(name="layers", indices=range(count), child=block),
        norm("norm", Role.FINAL_NORM, width),
    )
    return (NextTokens(name="mtp", joined="fc", width=width, parts=parts),) if count else ()


def _count(config: Config) -> int:
    return config["num_nextn_predict_layers"] or 0
