"""Does the tokenizer fit the embedding, and end where the model does?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.rules.vocabulary import highest_ids, id_of, pointers
from weightscope.components.embedding import Embedding
from weightscope.components.walk import find
from weightscope.config import read_config
from weightscope.errors import ConfigError
from weightscope.findings import Finding
from weightscope.roles import Role

# What a model may have instead of, or before it had, a tokenizer.json.
OTHERS = (
    "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json", "tokenizer_config.json",
    "added_tokens.json",
)  # fmt: skip


def tokenizer_size(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, an error, where a token's id has no row; rows without a token are padding and fine."""
    directory = subject.directory
    if directory is None or subject.declaration is None:
        return
    rows = next((e.rows for e in find(subject.declaration.tree, Embedding) if e.role is Role.TOKEN_EMBEDDING), None)
    if rows is None:
        return
    if pointed := pointers(directory):
        yield Finding(
            code="config-invalid",
            severity="error",
            message=f"Git LFS pointers instead of tokenizer files: {', '.join(pointed)}",
            hint="run `git lfs pull`",
        )
        return
    names = set(directory.names())
    if "tokenizer.json" not in names and not set(OTHERS) & names:
        yield Finding(
            code="config-missing",
            severity="info",
            message="the tokenizer is missing",
            hint="it is needed for text prompts",
        )
        return
    for found in highest_ids(directory):
        if isinstance(found, Finding):
            yield found
        elif found[1] >= rows:
            name, highest = found
            yield Finding(
                code="config-invalid",
                severity="error",
                message=f"{name} has token ids up to {highest:,}, but the embedding has {rows:,} rows ({rows.text})",
                expected=int(rows),
                actual=highest + 1,
                config=rows.keys,
                hint="a prompt may use a token that has no row: resize the embedding, or restore its tokenizer",
            )


def tokenizer_end(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, info: the tokenizer's eos_token is no id that generation ends on."""
    from weightscope.analyses.rules.config import ending_ids

    directory = subject.directory
    if directory is None or subject.config is None or not directory.holds("tokenizer_config.json"):
        return
    try:
        said = read_config(directory.fetch("tokenizer_config.json")).data
    except ConfigError as error:
        yield Finding.of(error)
        return
    token = _content(said.get("eos_token"))
    number = _number(said, token) if token else None
    if token and number is None:
        number = id_of(directory, token)
    ends = ending_ids(subject)
    if number is not None and ends and number not in ends:
        yield Finding(
            code="config-invalid",
            severity="info",
            message=f"eos_token of tokenizer_config.json is {token!r} (id {number}), but generation ends at {ends}",
            expected=ends,
            actual=number,
            config=("eos_token_id",),
            hint="a chat may not stop at the end of a turn: add the id to eos_token_id in generation_config.json",
        )


def _content(token: object) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _number(said: Mapping[str, Any], token: str) -> int | None:
    """The id that `added_tokens_decoder` gives a token."""
    decoder = said.get("added_tokens_decoder")
    for number, added in decoder.items() if isinstance(decoder, dict) else ():
        if _content(added) == token and str(number).isdecimal():
            return int(number)
    return None
