"""XLNet's attention, and what is made of a whole text."""

from __future__ import annotations

from weightscope.components.attention.transformer_xl import SegmentedAttention
from weightscope.components.encoder_heads import EncoderHead, Of
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.encoders import classes, transform
from weightscope.families.common.refusals import refuse, require
from weightscope.sizes import Size

SUMMARIES: dict[str, Of] = {"last": "last", "first": "first", "mean": "mean", "cls_index": "last"}


def attention(config: Config, s: Dims) -> SegmentedAttention:
    """To all tokens, or to those before."""
    count, size = s.heads.count, config["d_head"] or s.head_dim
    if s.width % 2 or s.width % count:
        raise config.error(f"{s.width.text} {s.width:,} is odd, or no multiple of {count.text} {count:,}")
    if size != s.head_dim:
        raise config.error(f"d_head is {size:,}, and {s.width.text}/{count.text} {s.head_dim:,}")
    if config["attn_type"] not in ("bi", "uni"):
        raise config.error(f"attn_type is {config['attn_type']!r:.60}, neither bi nor uni")
    causal = config["attn_type"] == "uni"
    if causal:
        refuse(config, "XLNet that sees what is before", ("same_length",))
    clamp = max(int(config["clamp_len"]), 0)
    return SegmentedAttention(name="rel_attn", width=s.width, heads=s.heads, causal=causal, clamp=clamp)


def summary(config: Config, width: Size) -> EncoderHead:
    """Classes of one vector, which `summary_type` chooses; one score of each choice."""
    refuse(config, "XLNet", ("summary_proj_to_labels",))
    require(config, "XLNet", {"summary_use_proj": True})
    chosen = config["summary_type"]
    if chosen not in SUMMARIES:
        raise config.undeclared(f"XLNet with summary_type {chosen!r:.60} is not declared")
    before = transform(width, config["summary_activation"], name="sequence_summary", dense="summary")
    labels = 1 if config.task == "MultipleChoice" else config.labels
    return classes(width, labels, of=SUMMARIES[chosen], out="logits_proj", before=before)
