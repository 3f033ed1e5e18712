"""Is the head what the config says of it: tied or not, there or not?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.tying import Tying
from weightscope.config import Config
from weightscope.findings import Finding, Severity

TIE = "tie_word_embeddings"
TWO_HEADS = (
    "to keep the stored head, set tie_word_embeddings to false: transformers 5 uses the head, older loaders drop it"
)


def strange_head(subject: Subject) -> Iterator[Finding]:
    """`tie-mismatch`: errors where a loader would compute something else than was saved, info where it stores twice."""
    tying = subject.tying
    said = _what(subject, tying)
    if subject.config:
        yield from _two_answers(subject.config)
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
    told = subject.complete and subject.has_names and bool(subject.inventory.recognized or subject.declaration is None)
    if tying.evidence == "absent-head" and not tying.tied and told:
        message = "config.json says untied, but the head is missing"
        # Saved from a base model: loading it as one is sound, as the architecture that the config names it is not.
        rooted = subject.declaration is None or subject.declaration.root
        hint = "loaders fill the head with random numbers; set tie_word_embeddings to true if it was tied"
        return ("error" if rooted else "warning"), message, hint
    if tying.evidence == "absent-head":
        return _moved(subject, tying)
    return _stored(subject, tying)


def _moved(subject: Subject, tying: Tying) -> tuple[Severity, str, str] | None:
    """Of a tied model whose only copy is the head."""
    renaming = subject.checkpoint.renaming
    if not (tying.tied and renaming and renaming.embedding_of):
        return None
    message = f"the tied embedding is stored only as {renaming.embedding_of}"
    return "info", message, f"transformers reads {tying.embedding} from it; other loaders may not find the embedding"


def _stored(subject: Subject, tying: Tying) -> tuple[Severity, str, str] | None:
    """Of a head that is stored."""
    if tying.declared and tying.evidence == "untied" and tying.head and tying.embedding:
        if not _alike(subject, tying.head, tying.embedding):
            return None  # a question of shapes, asked there
        message = f"config.json says tied, but {tying.head} and {tying.embedding} have different values"
        return "error", message, TWO_HEADS
    if tying.declared and tying.head and tying.evidence in ("declared", "equal-values") and subject.has_shapes:
        compared = (
            "with the same values" if tying.evidence == "equal-values" else "values not compared without --values"
        )
        message = f"config.json says tied, but {tying.head} is stored too ({compared})"
        return (
            "info",
            message,
            "older loaders drop it, transformers 5 keeps it; no difference while both are equal",
        )
    if tying.declared is False and tying.evidence == "shared-storage":
        message = f"config.json says untied, but {tying.head} shares its storage with {tying.embedding}"
        return (
            "info",
            message,
            "the model was saved while tied; loaders that follow config.json treat them as two tensors",
        )
    if tying.declared is False and tying.evidence == "equal-values":
        message = f"config.json says untied, but {tying.head} equals {tying.embedding}"
        return "info", message, "they may be tied; further training would change them separately"
    return None


def _alike(subject: Subject, head: str, embedding: str) -> bool:
    tensors = subject.checkpoint.tensors
    return head in tensors and embedding in tensors and tensors[head].shape == tensors[embedding].shape


def _two_answers(config: Config) -> Iterator[Finding]:
    """A vision-language config that ties the head at one level and not at the other."""
    text = config.data.get("text_config")
    above, below = config.data.get("tie_word_embeddings"), text.get(TIE) if isinstance(text, dict) else None
    if isinstance(above, bool) and isinstance(below, bool) and above is not below:
        yield Finding(
            code="tie-mismatch",
            severity="info",
            message=f"config.json says {TIE} {_json(above)}, and {_json(below)} in text_config",
            expected=above,
            actual=below,
            config=(TIE, f"text_config.{TIE}"),
            hint="loaders differ in which one they use: give both the same value",
        )


def _json(value: bool) -> str:  # noqa: FBT001 - the value itself
    return str(value).lower()
