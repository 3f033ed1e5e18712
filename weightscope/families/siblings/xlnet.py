"""XLNet's attention, and what is made of a whole text."""

from __future__ import annotations

from weightscope.components.attention.transformer_xl import SegmentedAttention
from weightscope.components.beam_answers import BeamAnswers
from weightscope.components.encoder_heads import EncoderHead, Of
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import classes, transform
from weightscope.families.common.refusals import refuse, require
from weightscope.roles import Role
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


def answers(config: Config, width: Size) -> BeamAnswers:
    """The likeliest answers, and whether there is one.

    Raises:
        ConfigError: none are asked for.
    """
    starts, stops = int(config["start_n_top"]), int(config["end_n_top"])
    if not starts or not stops:
        raise config.error("'start_n_top' and 'end_n_top' are at least 1")
    norm = layer_norms(config["layer_norm_eps"])("LayerNorm", Role.NORM, width)

    def scores(name: str, *, bias: bool) -> Projection:
        return Projection(name=name, inputs=width, outputs=Size(1), bias=bias, role=Role.CLASSIFIER)

    def of_both(name: str, norm: Norm | None, *, bias: bool) -> EncoderHead:
        before = transform(width, "tanh", norm, name=name, dense="dense_0", inputs=width * 2)
        return EncoderHead(before=before, out=scores(f"{name}.dense_1", bias=bias))

    return BeamAnswers(
        begins=scores("start_logits.dense", bias=True),
        ends=of_both("end_logits", norm, bias=True),
        answerable=of_both("answer_class", None, bias=False),
        starts=starts,
        stops=stops,
    )


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
