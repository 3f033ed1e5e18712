"""The document of `weightscope forward`."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from weightscope.analyses.forward.outcome import ClassScore, Outcome
from weightscope.analyses.forward.peer import key_of
from weightscope.analyses.forward.result import Candidate
from weightscope.analyses.forward.stages import Stage
from weightscope.output import words
from weightscope.output.document import Column, Document, Table
from weightscope.output.sparkline import sparkline
from weightscope.output.stage_names import split
from weightscope.output.standing_out import standing_out
from weightscope.ranges import spell

STAGE = Column(title="Stage")
SHAPE = Column(title="Shape")
RMS, LARGEST = Column(title="RMS", kind="number"), Column(title="Largest", kind="number")
FINITE, WHY = Column(title="Finite"), Column(title="Why")
DIFFERENCE = Column(title="Difference", kind="number")
RECORDS = (STAGE, Column(title="Roles"), Column(title="Weights"), Column(title="Equation"), SHAPE, RMS, LARGEST, FINITE)
SHOWN_PROMPT = 60
SHOWN_CLASSES = 5


def forward_document(outcome: Outcome, *, stages: bool = False) -> Document:
    """What was run and what came out, and the stages that stand out; with `stages` all, and what each kind computes."""
    notable = tuple(standing_out(outcome))
    return Document(
        data=outcome,
        title=outcome.reference,
        verdict="ok" if outcome.ok else "failed",
        subtitle=" · ".join(_subtitle(outcome)),
        facts=(*_facts(outcome), *_magnitudes(outcome.stages), *(_kinds(outcome.stages) if stages else ())),
        table=_stages(outcome) if stages else _notable(outcome, notable),
        records=_records(outcome.stages),
        notes=(*outcome.notes, *(() if stages else _shown(len(notable), len(outcome.stages)))),
        findings=outcome.findings,
        closing=f"Checked {', '.join(outcome.checked)}.{_left_out(outcome)}",
    )


def _left_out(outcome: Outcome) -> str:
    return f" Not run: {', '.join(outcome.not_run)}." if outcome.not_run else ""


def _subtitle(outcome: Outcome) -> Iterator[str]:
    yield outcome.model_type
    if outcome.tokens:
        yield words.plural(outcome.tokens, "token")
    yield f"{outcome.compute_dtype} on {outcome.device}"
    yield f"{outcome.seconds:.2f} s"
    if outcome.peak_bytes:
        yield f"peak memory {words.size(outcome.peak_bytes)}"


def _shown(notable: int, total: int) -> Iterator[str]:
    """How many of the stages the table has."""
    if total and notable:
        yield f"{notable:,} of {words.plural(total, 'stage')} shown; --stages shows all."
    elif total:
        yield f"No stage stands out; --stages shows all {total:,}."


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for number, adapter in enumerate(outcome.adapters):
        yield "" if number else "Adapter", adapter
    if outcome.task:
        yield "Task", outcome.task
    if outcome.prompt is not None:
        more = "…" if len(outcome.prompt) > SHOWN_PROMPT else ""
        yield "Prompt", f"{outcome.prompt[:SHOWN_PROMPT]!r}{more}"
    elif outcome.token_ids:
        more = " …" if outcome.tokens > 12 else ""
        yield "Tokens", " ".join(map(str, outcome.token_ids[:12])) + more
    yield from _predicted(outcome)
    if outcome.loss is not None:
        perplexity = f"{outcome.perplexity:,.4g}" if outcome.perplexity is not None else "too large to show"
        over = words.plural(outcome.predictions, "prediction")
        yield "Loss", f"{words.decimal(outcome.loss, 3)} nats per token · perplexity {perplexity} · {over}"
    if outcome.max_abs_diff is not None:
        yield "Difference", f"{outcome.max_abs_diff:.3g}, the largest of any logit"
    if outcome.golden_diff is not None:
        share = f"{outcome.golden_diff * 100:.3g} % of a stage's RMS, the largest of any stage"
        yield "Difference", share if isfinite(outcome.golden_diff) else "the stages are not the same"


def _predicted(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """The likeliest tokens, next or at a mask; classes; how near several prompts are to each other."""
    for place in outcome.masks if outcome.top else ():
        yield f"Token {place}", "   ".join(map(candidate_text, outcome.top[place]))
    if outcome.top and outcome.predicts == "next":
        yield "Next token", "   ".join(map(candidate_text, outcome.top[-1]))
    for number, row in enumerate(outcome.classes[:SHOWN_CLASSES]):
        name = "Classes" if len(outcome.classes) == 1 else f"Token {number}"
        yield name, "   ".join(map(_class, row[:SHOWN_CLASSES]))
    for number, text in enumerate(outcome.prompts[1:], 2):
        yield f"Prompt {number}", f"{text[:SHOWN_PROMPT]!r}" + ("…" if len(text) > SHOWN_PROMPT else "")
    if outcome.vectors:
        yield "Vectors", outcome.vectors
    for pair in outcome.similarities:
        yield f"Cosine {pair.first} · {pair.second}", f"{pair.cosine:.4f}"


def _class(score: ClassScore) -> str:
    share = f"{score.score:.4g}" if score.probability is None else words.percent(score.probability)
    return f"{score.label} {share}"


def _magnitudes(stages: tuple[Stage, ...]) -> Iterator[tuple[str, str]]:
    """The RMS after each layer, a line for each stack of layers."""
    stacks: dict[str, dict[int, float | None]] = {}
    for stage in stages:
        layer = split(stage.stage)[1]
        if layer is not None:
            # The last stage of a layer is what leaves it.
            stacks.setdefault(stage.stage.partition("layer ")[0].strip(), {})[layer] = stage.rms
    for stack, layers in stacks.items():
        values = list(layers.values())
        first, last = next(iter(layers)), list(layers)[-1]
        ends = f"{_rms(values[0])} after layer {first}"
        if last != first:
            ends += f", {_rms(values[-1])} after layer {last}"
        yield f"RMS {stack}".strip(), f"{sparkline(values)}   {ends}"


def _rms(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"


def candidate_text(candidate: Candidate) -> str:
    """A token that may come next, and how likely it is."""
    name = str(candidate.token_id) if candidate.text is None else repr(candidate.text)
    return f"{name} {words.percent(candidate.probability)}"


def _kinds(stages: tuple[Stage, ...]) -> Iterator[tuple[str, str]]:
    """Each kind of stage once: its equation and the weights in it, with its layers where there are several kinds."""
    kinds: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
    for stage in stages:
        word, layer = split(stage.stage)
        kinds.setdefault((word, stage.equation, stage.roles), []).extend([] if layer is None else [layer])
    repeated = [word for word, _, _ in kinds]
    for (word, equation, roles), layers in kinds.items():
        which = f" {{{spell(layers)}}}" if layers and repeated.count(word) > 1 else ""
        yield f"{word}{which}", f"{equation}   [{', '.join(roles)}]" if roles else equation


def _notable(outcome: Outcome, notable: tuple[tuple[Stage, str], ...]) -> Table:
    """The stages that stand out, each with the reason."""
    differences = _differences(outcome)
    columns = (STAGE, RMS, LARGEST, *((DIFFERENCE,) if differences else ()), WHY)
    rows = []
    for stage, why in notable:
        difference = (differences.get(stage.stage),) if differences else ()
        rows.append((stage.stage, stage.rms, stage.absmax, *difference, why))
    return Table(columns=columns, rows=tuple(rows))


def _stages(outcome: Outcome) -> Table:
    differences = _differences(outcome)
    columns = (STAGE, SHAPE, RMS, LARGEST, FINITE) + ((DIFFERENCE,) if differences else ())
    rows = []
    for stage in outcome.stages:
        row = (stage.stage, _shape(stage), stage.rms, stage.absmax, "yes" if stage.finite else "no")
        rows.append((*row, differences.get(stage.stage)) if differences else row)
    return Table(columns=columns, rows=tuple(rows))


def _differences(outcome: Outcome) -> dict[str, float]:
    """How far each stage is from transformers' own, under the last stage of those that it compares with."""
    last_of = {key_of(stage.stage): stage.stage for stage in outcome.stages}
    return {last_of[item.stage]: item.relative for item in outcome.compared if item.stage in last_of}


def _records(stages: tuple[Stage, ...]) -> Table:
    return Table(
        columns=RECORDS,
        rows=tuple(
            (
                stage.stage,
                "+".join(stage.roles),
                " ".join(stage.weights),
                stage.equation,
                _shape(stage),
                stage.rms,
                stage.absmax,
                str(stage.finite).lower(),
            )
            for stage in stages
        ),
    )


def _shape(stage: Stage) -> str:
    return f"[{', '.join(map(str, stage.shape))}]"
