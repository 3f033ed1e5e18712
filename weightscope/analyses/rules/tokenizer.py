"""Does the tokenizer's vocabulary fit the embedding?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from weightscope.analyses.rules.subject import Subject
from weightscope.components.embedding import Embedding
from weightscope.components.walk import find
from weightscope.findings import Finding
from weightscope.roles import Role

MAX_TOKENIZER = 100_000_000
# Commas in the vocabulary's JSON, where a token takes one or two; the largest published have 262,144 tokens.
MAX_COMMAS = 2_000_000
# What a model may have instead of, or before it had, a tokenizer.json.
OTHERS = ("tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json", "tokenizer_config.json")

TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Added(msgspec.Struct, gc=False):
    id: TokenId


class _Scored(msgspec.Struct, array_like=True, gc=False):
    """A token and its score, of which only the place is used."""


class _Model(msgspec.Struct):
    """BPE and WordPiece map tokens to ids, Unigram lists them in order."""

    vocab: msgspec.Raw = msgspec.Raw(b"{}")


class _Tokenizer(msgspec.Struct):
    """What is used of the file, not decoded yet: merges are skipped, and a list may have any number of items."""

    model: _Model
    added_tokens: msgspec.Raw = msgspec.Raw(b"[]")


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
    try:
        highest = highest_id(directory.fetch("tokenizer.json"))
    except (OSError, ValueError, RecursionError) as error:
        yield Finding(
            code="config-invalid",
            severity="error",
            message=f"tokenizer.json cannot be read ({error})",
            hint="restore it from the model's repository",
        )
        return
    if highest >= rows:
        yield Finding(
            code="config-invalid",
            severity="error",
            message=f"tokenizer.json has ids up to {highest:,}, the embedding has {rows:,} rows ({rows.text})",
            expected=int(rows),
            actual=highest + 1,
            config=rows.keys,
            hint="a prompt may use a token without a row; was the embedding resized?",
        )


def highest_id(path: Path) -> int:
    """The highest token id of a tokenizer.json, or -1 where it has no token.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, is no JSON, or something else is where tokens are expected.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_TOKENIZER + 1)
    if len(raw) > MAX_TOKENIZER:
        raise ValueError(f"it is larger than {MAX_TOKENIZER:,} bytes")
    tokenizer = msgspec.json.decode(raw, type=_Tokenizer)
    vocab, added = bytes(tokenizer.model.vocab), bytes(tokenizer.added_tokens)
    if vocab.count(b",") + added.count(b",") > MAX_COMMAS:
        raise ValueError(f"its vocabulary has more than {MAX_COMMAS:,} commas")
    found = msgspec.json.decode(vocab, type=dict[str, TokenId] | list[_Scored])
    ids = found.values() if isinstance(found, dict) else range(len(found))
    others = msgspec.json.decode(added, type=list[_Added])
    return max((*ids, *(token.id for token in others)), default=-1)
