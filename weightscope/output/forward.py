"""The document of `weightscope forward`."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.forward.outcome import Outcome
from weightscope.analyses.forward.peer import key_of
from weightscope.analyses.forward.result import Candidate
from weightscope.analyses.forward.stages import Stage
from weightscope.output import words
from weightscope.output.document import Column, Document, Table
from weightscope.ranges import spell

STAGE = Column(title="Stage")
SHAPE = Column(title="Shape")
RMS, LARGEST = Column(title="RMS", kind="number"), Column(title="Largest", kind="number")
FINITE = Column(title="Finite")
DIFFERENCE = Column(title="Difference", kind="number")
RECORDS = (STAGE, Column(title="Roles"), Column(title="Weights"), Column(title="Equation"), SHAPE, RMS, LARGEST, FINITE)
SHOWN_PROMPT = 60


def forward_document(outcome: Outcome) -> Document:
    """What was run and what came out, then the stages; what all layers have alike is said once, above them."""
    return Document(
        data=outcome,
        title="ok" if outcome.ok else "failed",
        subtitle=" · ".join(_subtitle(outcome)),
        facts=(*_facts(outcome), *_kinds(outcome.stages)),
        table=_stages(outcome),
        records=_records(outcome.stages),
        notes=outcome.notes,
        findings=outcome.findings,
        closing=f"Checked {', '.join(outcome.checked)}.",
    )


def _subtitle(outcome: Outcome) -> Iterator[str]:
    yield outcome.reference
    yield outcome.model_type
    yield words.plural(outcome.tokens, "token")
    yield f"{outcome.compute_dtype} on {outcome.device}"
    yield f"{outcome.seconds:.2f} s"
    if outcome.peak_bytes:
        yield f"{words.size(outcome.peak_bytes)} at most"


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    if outcome.prompt is not None:
        more = "…" if len(outcome.prompt) > SHOWN_PROMPT else ""
        yield "Prompt", f"{outcome.prompt[:SHOWN_PROMPT]!r}{more}"
    elif outcome.token_ids:
        more = " …" if outcome.tokens > 12 else ""
        yield "Tokens", " ".join(map(str, outcome.token_ids[:12])) + more
    if outcome.top:
        yield "Next token", "   ".join(map(_candidate, outcome.top[-1]))
    if outcome.loss is not None:
        perplexity = f"{outcome.perplexity:,.4g}" if outcome.perplexity is not None else "beyond measure"
        over = words.plural(outcome.predictions, "prediction")
        yield "Loss", f"{outcome.loss:.3f} nats a token, perplexity {perplexity}, over {over}"
    if outcome.max_abs_diff is not None:
        yield "Difference", f"{outcome.max_abs_diff:.3g} at most"
    if outcome.golden_diff is not None:
        yield "Difference", f"{outcome.golden_diff:.3g} of a stage's size at most"


def _candidate(candidate: Candidate) -> str:
    name = str(candidate.token_id) if candidate.text is None else repr(candidate.text)
    return f"{name} {words.percent(candidate.probability)}"


def _kinds(stages: tuple[Stage, ...]) -> Iterator[tuple[str, str]]:
    """Each kind of stage once: its equation and the weights in it, with its layers where there are several kinds."""
    kinds: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
    for stage in stages:
        word, layer = _word(stage)
        kinds.setdefault((word, stage.equation, stage.roles), []).extend([] if layer is None else [layer])
    repeated = [word for word, _, _ in kinds]
    for (word, equation, roles), layers in kinds.items():
        which = f" {{{spell(layers)}}}" if layers and repeated.count(word) > 1 else ""
        yield f"{word}{which}", f"{equation}   [{', '.join(roles)}]" if roles else equation


def _word(stage: Stage) -> tuple[str, int | None]:
    """A stage's name without its layer, and the layer."""
    parts = stage.stage.split(" ")
    if "layer" not in parts[:-1]:
        return stage.stage, None
    place = parts.index("layer")
    if not parts[place + 1].isdecimal():
        return stage.stage, None
    return " ".join(parts[:place] + parts[place + 2 :]), int(parts[place + 1])


def _stages(outcome: Outcome) -> Table:
    compared = {item.stage: item.relative for item in outcome.compared}
    columns = (STAGE, SHAPE, RMS, LARGEST, FINITE) + ((DIFFERENCE,) if compared else ())
    rows = []
    last_of = {key_of(stage.stage): stage.stage for stage in outcome.stages}
    for stage in outcome.stages:
        row = (stage.stage, _shape(stage), stage.rms, stage.absmax, "yes" if stage.finite else "no")
        key = key_of(stage.stage)
        difference = compared.get(key) if last_of[key] == stage.stage else None
        rows.append((*row, difference) if compared else row)
    return Table(columns=columns, rows=tuple(rows))


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
