"""Documents of objects that no command prints: a pass, a lock, a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from weightscope.analyses.forward.result import Result
from weightscope.analyses.lock.record import Lock
from weightscope.api.tensors import Tensor, Tensors
from weightscope.output import words
from weightscope.output.columns import ROLE, mark
from weightscope.output.document import Document, Table
from weightscope.output.forward import LARGEST, RMS, STAGE, WHY, candidate_text
from weightscope.output.standing_out import changing
from weightscope.output.tensors import DTYPE, NAME, SHAPE

SHOWN_TOKENS = 12


def result_document(result: Result) -> Document:
    """What was computed, the likeliest next tokens, and the stages that stand out."""
    rows = tuple(
        (stage.stage, stage.rms, stage.absmax, "; ".join(reasons))
        for stage, reasons in changing(result.stages, result.tokens)
        if reasons
    )
    return Document(
        data=None,
        title="Forward pass",
        subtitle=" · ".join(_subtitle(result)),
        facts=tuple(_result_facts(result)),
        table=Table(columns=(STAGE, RMS, LARGEST, WHY), rows=rows),
    )


def _subtitle(result: Result) -> Iterator[str]:
    if result.tokens:
        yield words.plural(len(result.tokens), "token")
    yield f"{result.compute_dtype} on {result.device}"
    yield f"{result.seconds:.2f} s"
    yield "all finite" if result.finite else "not finite"


def _result_facts(result: Result) -> Iterator[tuple[str, str]]:
    if result.tokens:
        more = " …" if len(result.tokens) > SHOWN_TOKENS else ""
        yield "Tokens", " ".join(map(str, result.tokens[:SHOWN_TOKENS])) + more
    if result.output is not None:
        yield "Logits" if result.has_logits else "Output", f"{list(result.output.shape)}"
    if not result.of_same and (top := result.top(last=1)):
        yield "Next token", "   ".join(map(candidate_text, top[-1]))


def lock_document(lock: Lock) -> Document:
    """What is locked, and the digest of all of it."""
    facts = {
        "Digest": lock.root or "",
        "Repository": " ".join(filter(None, (lock.repository, lock.revision))),
        "Config": words.plural(len(lock.config), "key") if lock.config else "",
        "Files": words.plural(len(lock.files), "file") if lock.files is not None else "",
    }
    kind = f"{lock.algorithm} of every weight" if lock.algorithm else "headers only, no digests"
    return Document(
        data=None,
        title="Lock",
        subtitle=" · ".join(filter(None, (lock.model_type, words.plural(len(lock.weights), "weight"), kind))),
        facts=tuple((label, text) for label, text in facts.items() if text),
    )


def tensors_document(tensors: Tensors, most: int) -> Document:
    """The first so many tensors, a row each."""
    shown = [tensors[name] for name in islice(tensors, most)]
    left = len(tensors) - len(shown)
    return Document(
        data=None,
        title=words.plural(len(tensors), "tensor"),
        subtitle="",
        facts=(),
        table=Table(
            columns=(NAME, ROLE, SHAPE, DTYPE),
            rows=tuple((one.name, _roles(one), f"{list(one.shape)}", one.dtype) for one in shown),
        ),
        notes=(f"and {left:,} more",) if left else (),
    )


def tensor_document(tensor: Tensor) -> Document:
    """What the header says of a tensor, and what it is for."""
    facts = (
        ("Role", _roles(tensor)),
        ("Component", tensor.component),
        ("Shape", f"{list(tensor.shape)}"),
        ("Dtype", tensor.dtype),
        ("File", tensor.remote or tensor.file.name),
    )
    return Document(data=None, title=tensor.name, subtitle="", facts=facts)


def _roles(tensor: Tensor) -> str:
    kind = "" if tensor.kind == "weight" else f" {tensor.kind}"
    return mark(" + ".join(tensor.roles) + kind, inferred=tensor.inferred)
