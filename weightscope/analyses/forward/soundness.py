"""Does it compute? What a pass shows of weights that are damaged, and no look at names and shapes would."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from weightscope.analyses.forward.result import Result
from weightscope.analyses.forward.stages import Stage
from weightscope.analyses.rules.subject import listed
from weightscope.findings import Finding
from weightscope.ranges import summed

# Trained models put out up to some 10^6 in single elements of the residual stream (massive activations, arXiv
# 2402.17762; Gemma 3 passes float16's range), and no stage multiplies its root mean square by more than some hundreds.
LARGEST = 1e8
GROWTH = 1e5
# Fewer predictions than this say nothing of a model.
LEAST_PREDICTIONS = 4


def judge(
    result: Result, *, is_text: bool, non_finite: Callable[[Iterable[str]], list[str]]
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The findings on a pass, and what was looked at, in a word each.

    Args:
        result: the pass.
        is_text: whether the tokens are real text, so that the loss on them means something.
        non_finite: which stored tensors of these or beside them hold NaN or infinity themselves.
    """
    findings = [*_broken(result, non_finite), *_exploding(result.stages)]
    checked = ["finite values", "magnitudes"]
    if result.finite and len(set(result.tokens)) > 1:
        checked.append("dependence on the input")
        # One element beyond all measure makes all rows alike once they are normed: said enough.
        findings += _constant(result) if not findings else ()
    losses = result.losses() if is_text else []
    if len(losses) >= LEAST_PREDICTIONS:
        checked.append("loss on text")
        findings += _uniform(losses, result.logits.shape[-1])
    return tuple(findings), tuple(checked)


def _broken(result: Result, non_finite: Callable[[Iterable[str]], list[str]]) -> Iterator[Finding]:
    first = next((stage for stage in result.stages if not stage.finite), None)
    if first is None:
        return
    sources = summed(non_finite(result.broken))
    yield Finding(
        code="non-finite",
        severity="error",
        message=f"{first.stage} outputs NaN or infinity: "
        + (f"{listed(sources)} contains such values" if sources else "the tensors that it reads contain none"),
        tensors=tuple(sources or first.weights),
        hint="training diverged, or a conversion overflowed"
        if sources
        else "the computation overflows: look at the magnitudes of the stages before it",
    )


def _exploding(stages: tuple[Stage, ...]) -> Iterator[Finding]:
    """The first stage whose magnitude no trained model has, or that multiplies its input's beyond all measure."""
    before: Stage | None = None
    for stage in stages:
        if stage.rms is None or stage.absmax is None:
            return
        same = before is not None and before.shape == stage.shape
        grown = stage.rms / before.rms if same and before and before.rms else 0.0
        if stage.absmax >= LARGEST or grown >= GROWTH:
            by = f", {grown:.3g} times the stage before it" if grown >= GROWTH else ""
            yield Finding(
                code="exploding-magnitude",
                severity="error",
                message=f"{stage.stage} outputs values up to {stage.absmax:.3g} (RMS {stage.rms:.3g}{by})",
                tensors=stage.weights,
                actual=stage.absmax,
                hint="a weight of this stage is damaged, or its scales were applied wrongly",
            )
            return
        before = stage


def _constant(result: Result) -> Iterator[Finding]:
    """The first stage whose output is the same for every token, where the tokens differ."""
    for stage in result.stages:
        # One vector of a whole sequence has no other to differ from.
        if stage.stage.startswith(("vision", "projector")) or stage.varies or stage.shape[1] == 1:
            continue
        tokens = f"{len(set(result.tokens)):,} different tokens"
        what = f"is zero for all {tokens}" if stage.absmax == 0 else f"is the same for {tokens}"
        yield Finding(
            code="constant-output",
            severity="error",
            message=f"the logits do not depend on the input: the output of {stage.stage} {what}",
            tensors=stage.weights,
            hint="weights were never initialized, or are zero: `weightscope check --values` finds which",
        )
        return


def _uniform(losses: list[float], vocabulary: int) -> Iterator[Finding]:
    mean, uniform = sum(losses) / len(losses), math.log(vocabulary)
    if mean >= uniform:
        yield Finding(
            code="uniform-loss",
            severity="error",
            message=f"the mean loss on the text is {mean:.2f} nats per token, no better than uniform"
            f" guessing among {vocabulary:,} tokens ({uniform:.2f})",
            expected=round(uniform, 4),
            actual=round(mean, 4),
            hint="the weights are untrained or damaged, or the tokenizer belongs to another model",
        )
