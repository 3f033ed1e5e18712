"""Does the tokenizer's vocabulary fit the embedding?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from weightscope.analyses.rules.subject import Subject
from weightscope.components.embedding import Embedding
from weightscope.components.walk import find
from weightscope.findings import Finding
from weightscope.roles import Role

MAX_TOKENIZER = 200_000_000
# What a model may have instead of, or before it had, a tokenizer.json.
OTHERS = ("tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json", "tokenizer_config.json")


class _Added(msgspec.Struct):
    id: int


class _Model(msgspec.Struct):
    """BPE and WordPiece map tokens to ids, Unigram lists them in order."""

    vocab: dict[str, int] | list[msgspec.Raw] = {}


class _Tokenizer(msgspec.Struct):
    model: _Model
    added_tokens: list[_Added] = []


def tokenizer_size(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, an error, where a token's id has no row; rows without a token are padding and fine."""
    directory = subject.directory
    if directory is None or subject.declaration is None:
        return
    rows = next((e.rows for e in find(subject.declaration.tree, Embedding) if e.role is Role.TOKEN_EMBEDDING), None)
    if rows is None:
        return
    if not directory.holds("tokenizer.json"):
        if not set(OTHERS) & set(directory.names()):
            yield Finding(
                code="config-missing",
                severity="info",
                message="there is no tokenizer beside the weights",
                hint="the model cannot be prompted without one",
            )
        return
    highest = _highest(directory.fetch("tokenizer.json"))
    if isinstance(highest, Finding):
        yield highest
    elif highest >= rows:
        yield Finding(
            code="config-invalid",
            severity="error",
            message=f"tokenizer.json has ids up to {highest:,}, the embedding has {rows:,} rows ({rows.text})",
            expected=int(rows),
            actual=highest + 1,
            config=rows.keys,
            hint="a prompt may use a token without a row; was the embedding resized?",
        )


def _highest(path: Path) -> int | Finding:
    """The highest token id, or what is wrong with the file."""
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_TOKENIZER else b""
        tokenizer = msgspec.json.decode(raw, type=_Tokenizer)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Finding(
            code="config-invalid",
            severity="error",
            message=f"tokenizer.json cannot be read ({error})",
            hint="restore it from the model's repository",
        )
    vocab = tokenizer.model.vocab
    ids = vocab.values() if isinstance(vocab, dict) else range(len(vocab))
    return max((*ids, *(token.id for token in tokenizer.added_tokens)), default=-1)
