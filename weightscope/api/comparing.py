"""Two models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from weightscope.analyses.diff.counts import Counts
from weightscope.analyses.diff.logits import compare_logits
from weightscope.analyses.diff.pair import Opened
from weightscope.analyses.diff.result import Diff, ForwardDiff
from weightscope.analyses.diff.taking import take_diff
from weightscope.analyses.forward.prompt import given_tokens
from weightscope.api.adapters import adapted
from weightscope.api.asking import Wanted, prompt_of, tokenizer_of
from weightscope.checkpoint.reader import Progress
from weightscope.errors import UsageError

if TYPE_CHECKING:
    from weightscope.api.model import Model


def diff(
    a: Model | str | Path,
    b: Model | str | Path,
    *,
    values: bool = False,
    adapter: str | Path | Sequence[str | Path] = (),
    progress: Progress | None = None,
    stop: Event | None = None,
) -> Diff:
    """What differs between two models, joined by role, as `weightscope diff` says it.

    Args:
        a: a model, or what `weightscope.open` takes.
        b: the other.
        values: compare the numbers too, which reads every byte of both.
        adapter: one or several adapters that are applied to A first; imports torch.
        progress: called with (bytes done, bytes in all, weight).
        stop: set it from another thread to have what is known by then; the result is not `complete`.

    Raises:
        WeightscopeError: one of them cannot be read, or values are asked for and not here.
    """
    adapters = [adapter] if isinstance(adapter, str | Path) else list(adapter)
    left, right = _opened(a, values=values, adapters=adapters), _opened(b, values=values)
    return take_diff(left, right, values=values, progress=progress, stop=stop)


def _opened(model: Model | str | Path, *, values: bool, adapters: Sequence[str | Path] = ()) -> Opened:
    if isinstance(model, str | Path):
        from weightscope.api.opening import open_model

        model = open_model(model)
    if values:
        model.compare_tied_values()
    declaration, checkpoint, tied, overlay = model.declaration, model.checkpoint, model.tying.tied, None
    if adapters:
        if declaration is None:
            raise UsageError("adapters need a declared model", where=model.reference)
        changed, checkpoint, overlay = adapted(model.reference, declaration, checkpoint, adapters)
        tied, declaration = tied and changed is declaration, changed
    return Opened(
        reference=model.reference,
        checkpoint=checkpoint,
        config=model.config,
        declaration=declaration,
        tied=tied,
        counts=Counts.of(model.parameters, model.components),
        overlay=overlay,
    )


def compare_forward(
    a: Model,
    b: Model,
    *,
    tokens: str | None = None,
    text: str | None = None,
    adapter: Sequence[str | Path] = (),
    progress: Progress | None = None,
) -> ForwardDiff:
    """The logits of both on the same tokens: those given, those of a text by A's tokenizer, or the default ones.

    Adapters are applied to A.

    Raises:
        UsageError: both `tokens` and a `text`, or a model that has no logits.
        WeightscopeError: a pass of one of them cannot run.
    """
    if tokens is not None and text is not None:
        raise UsageError("--tokens and --prompt are mutually exclusive")
    wanted = Wanted(tokens=tokens, text=text)
    given = None if tokens is None else given_tokens(tokens)
    speller, notes = tokenizer_of(a, wanted, a.checkpoint.folder.path)
    with speller or nullcontext():
        prompt, _ = prompt_of(a, wanted, given, None, speller, notes, {})
    logits = []
    for model, applied in ((a, tuple(adapter)), (b, ())):
        result = model.forward(prompt.tokens, measure=False, progress=progress, adapter=applied)
        if not result.has_logits:
            raise UsageError("--forward compares logits, and this model has none", where=model.reference)
        logits.append(result.logits)
    return compare_logits(logits[0], logits[1], prompt.tokens, prompt.text)
