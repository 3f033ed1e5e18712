"""From an opened model and what a user wants of it to a verdict on its forward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from weightscope.analyses.forward.expected_logits import against_logits, read_logits
from weightscope.analyses.forward.golden import (
    RTOL,
    Golden,
    Tolerance,
    against_golden,
    read_golden,
)
from weightscope.analyses.forward.heads import stores_tied_head, two_heads
from weightscope.analyses.forward.hidden import Both, Hidden
from weightscope.analyses.forward.not_run import not_run
from weightscope.analyses.forward.outcome import ClassScore, Outcome
from weightscope.analyses.forward.peer import Comparison, Kept, compare_with_transformers, differing
from weightscope.analyses.forward.prompt import Prompt, encoded, given_tokens, without
from weightscope.analyses.forward.result import Candidate, Result
from weightscope.analyses.forward.sentences import Sentences, makes_vectors, read_sentences
from weightscope.analyses.forward.soundness import judge
from weightscope.analyses.forward.speller import Speller
from weightscope.analyses.stats.reading import Source
from weightscope.analyses.stats.skimming import skim
from weightscope.api.asking import (
    Wanted,
    has_decoder,
    inputs_of,
    instructed,
    prompt_of,
    ready_tokens,
    runnable_of,
    tokenizer_of,
    written_of,
)
from weightscope.checkpoint.array_types import need_working_directory
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.errors import NotImplementedByWeightscope, UsageError, WeightscopeError, printable_path
from weightscope.findings import Finding, passes

if TYPE_CHECKING:
    import numpy as np

    from weightscope.api.model import Model


def try_forward(
    model: Model, wanted: Wanted, progress: Progress | None = None
) -> tuple[Outcome, Result, Golden | None]:
    """Run, judge, hold against what is expected; the result and, where one can be made, the golden file of the pass.

    Raises:
        WeightscopeError: what was asked for cannot be done, in one line.
    """
    need_working_directory()
    directory, wanted = _directory(model), instructed(model, wanted)
    expected = _expected_golden(wanted)
    tokens = None if wanted.tokens is None else given_tokens(wanted.tokens)
    speller, notes = tokenizer_of(model, wanted, directory)
    with speller or nullcontext():
        with suppress(ImportError):
            # Imported while the tokenizer loads; that it is missing is said by the pass.
            import torch  # noqa: F401
        ready = inputs_of(model, wanted, directory)
        tokens = ready_tokens(wanted, ready, tokens)
        inputs = ready | written_of(model, wanted, speller, expected, ready)
        prompt, speller = prompt_of(model, wanted, tokens, expected, speller, notes, inputs)
        hidden = Hidden()
        outcome, result, golden = _try_prompt(model, wanted, prompt, expected, speller, progress, inputs, hidden)
        if wanted.more_texts and speller:
            outcome = _compared_texts(model, wanted, outcome, hidden, speller, directory)
        return outcome, result, golden


def _try_prompt(
    model: Model,
    wanted: Wanted,
    prompt: Prompt,
    expected: Golden | None,
    speller: Speller | None,
    progress: Progress | None,
    inputs: Mapping[str, np.ndarray[Any, Any]],
    hidden: Hidden,
) -> tuple[Outcome, Result, Golden | None]:
    """As `try_forward`, on this prompt and against this golden file."""
    tolerance = _tolerance(wanted, expected)
    logits = read_logits(wanted.expect) if wanted.expect and not expected else None
    kept = Kept() if wanted.compare else None
    result = model.forward(
        prompt.tokens,
        device=wanted.device,
        compute_dtype=wanted.compute_dtype,
        stop_after=wanted.stop_after,
        task=wanted.task,
        progress=progress,
        keep=Both(kept, hidden) if kept else hidden if wanted.more_texts else None,
        adapter=wanted.adapters,
        **inputs,  # type: ignore[arg-type]
    )
    predicts = prompt.is_text and not makes_vectors(_directory(model))
    judged, checked = judge(result, is_text=predicts, non_finite=lambda names: _non_finite(model, names, wanted))
    compared = () if kept is None else _compared(model, result, kept, inputs)
    found, max_abs_diff, golden_diff = _held(result, expected, logits, compared, tolerance)
    findings = (*judged, *found, *_heads(model))
    losses = result.losses() if prompt.origin != "default tokens" else []
    loss = sum(losses) / len(losses) if losses else None
    top, late = _spelled(result, wanted.top_k, speller, asked=wanted.text is not None)
    outcome = Outcome(
        ok=passes(findings, wanted.fail_on),
        device=result.device,
        compute_dtype=result.compute_dtype,
        tokens=len(result.tokens),
        finite=result.finite,
        stages=result.stages,
        top=top,
        predicts=("same" if result.of_same else "next") if result.has_logits else None,
        masks=prompt.masks,
        classes=_classes(model, result),
        max_abs_diff=max_abs_diff,
        peak_bytes=result.peak_bytes,
        seconds=round(result.seconds, 4),
        reference=printable_path(model.reference),
        model_type=model.config.model_type if model.config else "",
        token_ids=result.tokens,
        prompt=prompt.text,
        origin=prompt.origin,
        loss=loss,
        perplexity=math.exp(loss) if loss is not None and loss < 700 else None,
        predictions=len(losses),
        golden_diff=golden_diff,
        compared=compared,
        checked=(*checked, *_expectations(wanted, expected)),
        findings=findings,
        notes=(*prompt.notes, *late, *_endings(result)),
        adapters=tuple(map(printable_path, wanted.adapters)),
        task=wanted.task or None,
        not_run=not_run(model.inventory, takes.takes if (takes := runnable_of(model)) else (), inputs),
    )
    image = ", ".join(path.name for path in (*wanted.images, wanted.inputs) if path) or None
    if not result.finite:
        return outcome, result, None
    return outcome, result, Golden.of(result, outcome.model_type, image=image, has_decoder=has_decoder(model))


def _compared(
    model: Model, result: Result, kept: Kept, inputs: Mapping[str, np.ndarray[Any, Any]]
) -> tuple[Comparison, ...]:
    """What transformers' own model makes of the same, stage by stage."""
    tree = runnable_of(model)
    assert tree
    fed: Mapping[str, Any] = {name: value for name, value in inputs.items() if name not in tree.beside}
    fed = tree.completed(fed, result.tokens)
    return compare_with_transformers(_directory(model), result, kept, depth=tree.layers, inputs=fed)


def _compared_texts(
    model: Model, wanted: Wanted, outcome: Outcome, first: Hidden, speller: Speller, directory: Path
) -> Outcome:
    """The outcome of the first prompt, with the cosines of the vectors of all."""
    from weightscope.analyses.forward.similar import similarities

    found = read_sentences(directory)
    sentences = found or Sentences(modes=("mean",))
    states, findings = [first.states], list(outcome.findings)
    for text in wanted.more_texts:
        hidden = Hidden()
        result = model.forward(
            encoded(speller, text),
            device=wanted.device,
            compute_dtype=wanted.compute_dtype,
            keep=hidden,
            task=wanted.task,
            adapter=wanted.adapters,
        )
        predicts = not makes_vectors(directory)
        judged, _ = judge(result, is_text=predicts, non_finite=lambda names: _non_finite(model, names, wanted))
        findings += judged
        states.append(hidden.states)
    vectors = [sentences.vector(hidden) for hidden in states if hidden is not None]
    note = () if found else ("There is no modules.json: a text's vector is the mean of its last hidden states.",)
    return replace(
        outcome,
        prompts=(outcome.prompt or "", *wanted.more_texts),
        similarities=similarities(vectors),
        vectors=sentences.words,
        notes=(*outcome.notes, *note),
        findings=tuple(findings),
        ok=passes(findings, wanted.fail_on),
    )


def _classes(model: Model, result: Result) -> tuple[tuple[ClassScore, ...], ...]:
    """What a classifier says, best first; of a model that scores a vocabulary nothing."""
    from weightscope.analyses.forward.classes import class_scores

    if result.output is None or not result.stages or result.stages[-1].stage != "class scores" or not model.config:
        return ()
    return class_scores(result.output, model.config.data)


def _held(
    result: Result,
    golden: Golden | None,
    logits: np.ndarray[Any, Any] | None,
    compared: tuple[Comparison, ...],
    tolerance: Tolerance,
) -> tuple[tuple[Finding, ...], float | None, float | None]:
    """What differs from what was expected; the largest difference of values, and that of a golden file's marks."""
    findings: tuple[Finding, ...] = ()
    values: list[float] = [item.max_abs_diff for item in compared]
    marks: float | None = None
    if golden:
        findings, difference = against_golden(result, golden, tolerance)
        marks = difference if math.isfinite(difference) else None
    elif logits is not None:
        findings, difference = against_logits(result, logits, tolerance)
        values.append(difference)
    return (*findings, *differing(compared, tolerance)), max(values, default=None), marks


def _heads(model: Model) -> Iterator[Finding]:
    """What to say where a tied model stores a head of other values than its embedding."""
    if model.declaration and stores_tied_head(model.declaration, model.tying):
        model.compare_tied_values()
        if model.tying.evidence == "untied":
            yield two_heads(model.tying)


def _directory(model: Model) -> Path:
    path = model.checkpoint.path
    return path if path.is_dir() else path.parent


def _endings(result: Result) -> Iterator[str]:
    """What to say of a pass that gives no logits."""
    if not result.has_logits and result.stages:
        stopped = "stopped there" if result.output is None else "has no head over a vocabulary"
        yield f"No logits: the pass ended with {result.stages[-1].stage}, because it {stopped}."


def _expected_golden(wanted: Wanted) -> Golden | None:
    if wanted.expect is None or wanted.expect.suffix != ".json":
        return None
    golden = read_golden(wanted.expect)
    if golden.image and not (wanted.images or wanted.inputs):
        ready = golden.image.endswith(".npz")
        what = "prepared inputs, and none were given" if ready else "an image, and none was given"
        option = "--inputs" if ready else "--image"
        raise UsageError(f"was recorded with {what}", where=wanted.expect, hint=f"give {option} {golden.image}")
    return golden


def _non_finite(model: Model, names: Iterable[str], wanted: Wanted) -> list[str]:
    """Which of the tensors, of those beside them (a quantized weight's scales) and of adapters hold NaN or infinity."""
    modules = {name.rpartition(".")[0] for name in names}
    found = _broken(model.checkpoint, lambda name: name.rpartition(".")[0] in modules)
    for path in wanted.adapters:
        from weightscope.api.adapters import beside

        found += _broken(beside(path).checkpoint, lambda _: True)
    return found


def _broken(checkpoint: Checkpoint, wanted: Callable[[str], bool]) -> list[str]:
    """The wanted tensors that hold NaN or infinity."""
    found = []
    for name, entry in checkpoint.tensors.items():
        if wanted(name):
            try:
                (skimmed,) = skim(checkpoint, [Source(name=name, entry=entry)])
            except NotImplementedByWeightscope:
                continue
            found += [] if skimmed.finite else [name]
    return found


def _tolerance(wanted: Wanted, expected: Golden | None) -> Tolerance:
    dtypes = [wanted.compute_dtype, *([expected.compute_dtype] if expected else [])]
    return Tolerance.of(max(dtypes, key=lambda name: RTOL.get(name, 0.0)), wanted.atol, wanted.rtol)


def _expectations(wanted: Wanted, expected: Golden | None) -> list[str]:
    held = ["golden file" if expected else "expected logits"] if wanted.expect else []
    return held + ["transformers"] * wanted.compare


def _spelled(
    result: Result, count: int, speller: Speller | None, *, asked: bool
) -> tuple[tuple[tuple[Candidate, ...], ...], tuple[str, ...]]:
    """The likeliest tokens after each, with their texts; a note where a tokenizer that nobody asked for has none."""
    rows = result.top(count)
    plain = tuple(map(tuple, rows))
    if speller is None or not rows:
        return plain, ()
    pairs = [(token, [candidate.token_id for candidate in row]) for token, row in zip(result.scored, rows, strict=True)]
    try:
        texts = speller.after(pairs)
    except WeightscopeError as error:
        if asked:
            raise
        return plain, (without(error),)
    return tuple(
        tuple(replace(candidate, text=text) for candidate, text in zip(row, spelled, strict=True))
        for row, spelled in zip(rows, texts, strict=True)
    ), ()
