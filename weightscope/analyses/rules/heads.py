"""Is the head what the config says of it: tied or not, there or not?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.tying import Tying
from weightscope.findings import Finding, Severity


def strange_head(subject: Subject) -> Iterator[Finding]:
    """`tie-mismatch`: errors where a loader would compute something else than was saved, info where it stores twice."""
    tying = subject.tying
    said = _what(subject, tying)
    if said:
        severity, message, hint = said
        yield Finding(
            code="tie-mismatch",
            severity=severity,
            message=message,
            tensors=tuple(name for name in (tying.head, tying.embedding) if name),
            config=("tie_word_embeddings",),
            hint=hint,
        )


def _what(subject: Subject, tying: Tying) -> tuple[Severity, str, str] | None:
    """Severity, message and hint."""
    if tying.evidence == "absent-head" and not tying.tied and subject.complete and subject.has_names:
        message = "the config does not tie the head to the embedding, but no head is stored"
        # Saved from a base model: loading it as one is sound, as the architecture that the config names it is not.
        rooted = subject.declaration is None or subject.declaration.root
        hint = "loaders fill it with random numbers; set tie_word_embeddings to true if it was tied"
        return ("error" if rooted else "warning"), message, hint
    if tying.declared and tying.evidence == "untied":
        message = f"the config ties the head, but {tying.head} and {tying.embedding} hold different values"
        return "error", message, "set tie_word_embeddings to false to keep the stored head, which older loaders drop"
    if tying.declared and tying.head and tying.evidence in ("declared", "equal-values") and subject.has_shapes:
        compared = "byte for byte the same" if tying.evidence == "equal-values" else "not compared without --values"
        message = f"the config ties the head, and {tying.head} is stored all the same ({compared})"
        return "info", message, "older loaders drop it, transformers 5 keeps it: the same, as long as both are equal"
    if tying.declared is False and tying.evidence == "shared-storage":
        message = f"the config does not tie the head, and {tying.head} is the storage of {tying.embedding}"
        return "info", message, "saved while tied; loaders that follow the config let the two part"
    if tying.declared is False and tying.evidence == "equal-values":
        message = f"the config does not tie the head, and {tying.head} equals {tying.embedding}"
        return "info", message, "it may be tied; training would let the two part"
    return None
