"""What is said of a pass: what was run, what came out, and whether it is sound."""

from __future__ import annotations

from typing import Literal

import msgspec

from weightscope.analyses.forward.peer import Comparison
from weightscope.analyses.forward.result import Candidate
from weightscope.analyses.forward.stages import Stage
from weightscope.brief import brief
from weightscope.findings import Finding


class ClassScore(msgspec.Struct, frozen=True, kw_only=True):
    """What a classifier says of one class; `probability` is among all classes, None where there is but one."""

    label: str
    score: float
    probability: float | None


class Similarity(msgspec.Struct, frozen=True, kw_only=True):
    """The cosine of the vectors of two prompts, counted from 1."""

    first: int
    second: int
    cosine: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `weightscope forward` says.

    `tokens` counts them, `token_ids` are they. `top` has for each position the likeliest tokens after it, or where
    `predicts` is `same` (a masked model) in its place; `masks` are the places of mask tokens. `classes` has a
    classifier's scores, of the sequence or of each token. `similarities` are those of several prompts, whose
    vectors are made as `vectors` says. `loss` is the mean over the prompt in nats, None where it has but one token
    or is of ids that mean nothing. `checked` says what the verdict rests on. `max_abs_diff` is the largest
    difference to expected logits or to transformers' own; `golden_diff` the largest of a golden file's
    fingerprints, relative to its stage's size. `adapters` are those that were applied, as they were named,
    `task` the one whose LoRA inside the model was. `not_run` are components that the pass did not need, and so says
    nothing of.
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
    predicts: Literal["next", "same"] | None = None
    masks: tuple[int, ...] = ()
    classes: tuple[tuple[ClassScore, ...], ...] = ()
    prompts: tuple[str, ...] = ()
    similarities: tuple[Similarity, ...] = ()
    vectors: str | None = None
    golden_diff: float | None = None
    compared: tuple[Comparison, ...] = ()
    checked: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    task: str | None = None
    not_run: tuple[str, ...] = ()

    __repr__ = brief
