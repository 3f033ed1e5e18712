"""Is the head what the config says of it: tied or not, there or not?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject
from weightscope.findings import Finding


def strange_head(subject: Subject) -> Iterator[Finding]:
    """`tie-mismatch`: errors where a loader would compute something else than was saved, info where it stores twice."""
    tying = subject.tying
    names = tuple(name for name in (tying.head, tying.embedding) if name)
    if tying.evidence == "absent-head" and not tying.tied and subject.complete and subject.has_names:
        yield Finding(
            code="tie-mismatch",
            severity="error",
            message="the config does not tie the head to the embedding, but no head is stored",
            tensors=names,
            config=("tie_word_embeddings",),
            hint="loaders fill it with random numbers; set tie_word_embeddings to true if the model was tied",
        )
    elif tying.declared and tying.evidence == "untied":
        yield Finding(
            code="tie-mismatch",
            severity="error",
            message=f"the config ties the head, but {tying.head} and {tying.embedding} hold different values",
            tensors=names,
            config=("tie_word_embeddings",),
            hint="set tie_word_embeddings to false to keep the stored head",
        )
    elif tying.declared and tying.head and tying.evidence in ("declared", "equal-values") and subject.has_shapes:
        compared = "byte for byte the same" if tying.evidence == "equal-values" else "not compared without --values"
        yield Finding(
            code="tie-mismatch",
            severity="info",
            message=f"the config ties the head, and {tying.head} is stored all the same ({compared})",
            tensors=names,
            config=("tie_word_embeddings",),
            hint="loaders ignore the stored head",
        )
    elif tying.declared is False and tying.evidence == "equal-values":
        yield Finding(
            code="tie-mismatch",
            severity="info",
            message=f"the config does not tie the head, and {tying.head} equals {tying.embedding}",
            tensors=names,
            config=("tie_word_embeddings",),
            hint="it may be tied; training would let the two part",
        )
