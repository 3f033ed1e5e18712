"""What is said of a pass: what was run, what came out, and whether it is sound."""

from __future__ import annotations

import msgspec

from weightscope.analyses.forward.peer import Comparison
from weightscope.analyses.forward.result import Candidate
from weightscope.analyses.forward.stages import Stage
from weightscope.brief import brief
from weightscope.findings import Finding


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `weightscope forward` says.

    `tokens` counts them, `token_ids` are they. `top` has for each position the likeliest tokens after it. `loss` is
    the mean over the prompt in nats, None where it has but one token or is of ids that mean nothing. `checked` says
    what the verdict rests on. `max_abs_diff` is the largest difference to expected logits or to transformers' own;
    `golden_diff` the largest of a golden file's fingerprints, relative to its stage's size.
    """

    schema_version: int = 1
    ok: bool
    device: str
    compute_dtype: str
    tokens: int
    finite: bool
    stages: tuple[Stage, ...]
    top: tuple[tuple[Candidate, ...], ...]
    max_abs_diff: float | None = None
    peak_bytes: int
    seconds: float
    reference: str
    model_type: str
    token_ids: tuple[int, ...]
    prompt: str | None
    origin: str
    loss: float | None
    perplexity: float | None
    predictions: int
    golden_diff: float | None = None
    compared: tuple[Comparison, ...] = ()
    checked: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    __repr__ = brief
