"""What the tokenizer.json files of all kinds have, made of the metadata of a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.errors import CheckpointError
from weightscope.gguf.vocabulary import Vocabulary

KINDS, SCORES = "tokenizer.ggml.token_type", "tokenizer.ggml.scores"
# llama.cpp's kinds of tokens: unknown text, and those that texts are searched for before anything else.
UNKNOWN, CONTROL, WRITTEN = 2, 3, 4
# What SentencePiece writes for a blank.
BLANK = "▁"

Token = tuple[str, int] | None


def whole(
    vocabulary: Vocabulary,
    tokens: list[str],
    *,
    around: tuple[Token, Token],
    model: Mapping[str, Any],
    **parts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The file of a `model`; `around` are the tokens before and after a text, `parts` the model's other steps."""
    added = [
        {
            "id": number,
            "content": token,
            "special": kind == CONTROL,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for number, (token, kind) in enumerate(zip(tokens, vocabulary.numbers(KINDS), strict=False))
        if kind in (CONTROL, WRITTEN) and token
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        **parts,
        "post_processor": _template(*around),
        "model": model,
    }


def numbered(tokens: list[str]) -> dict[str, int]:
    """Tokens with their ids."""
    return {token: number for number, token in enumerate(tokens)}


def first_and_last(metadata: Metadata, tokens: list[str], *, begins: bool, ends: bool = False) -> tuple[Token, Token]:
    """The tokens before and after a text; `begins` and `ends` are what llama.cpp does where the file does not say.

    Raises:
        CheckpointError: the vocabulary has no such token.
    """
    found: list[Token] = []
    for name, usual in (("bos", begins), ("eos", ends)):
        stated = metadata.flag(f"tokenizer.ggml.add_{name}_token")
        wanted = usual if stated is None else stated
        found.append(special(metadata, tokens, name) if wanted else None)
    return found[0], found[1]


def special(metadata: Metadata, tokens: list[str], name: str) -> Token:
    """A token that the metadata names, with its id; None where it does not.

    Raises:
        CheckpointError: the vocabulary has no such token.
    """
    key = f"tokenizer.ggml.{name}_token_id"
    number = metadata.whole(key)
    if number is None:
        return None
    if not 0 <= number < len(tokens):
        raise CheckpointError(f"{key} is {number:,}, and there are {len(tokens):,} tokens", where=metadata.where)
    return tokens[number], number


def scores_of(vocabulary: Vocabulary, tokens: list[str]) -> list[float]:
    """The score of each token.

    Raises:
        CheckpointError: there are not as many scores as tokens.
    """
    scores = vocabulary.numbers(SCORES)
    if len(scores) != len(tokens):
        raise CheckpointError(
            f"its metadata has {len(scores):,} scores for {len(tokens):,} tokens",
            where=vocabulary.metadata.where,
            hint="give --tokens 1,2,3",
        )
    return scores


def unknown(vocabulary: Vocabulary, tokens: list[str]) -> Token:
    """The token of unknown text: the one that is named, or else the first of that kind."""
    named = special(vocabulary.metadata, tokens, "unknown")
    of_kind = (number for number, kind in enumerate(vocabulary.numbers(KINDS)) if kind == UNKNOWN)
    number = next(of_kind, len(tokens)) if named is None else named[1]
    return (tokens[number], number) if number < len(tokens) else None


def _template(first: Token, last: Token) -> dict[str, Any] | None:
    if first is None and last is None:
        return None
    around = [{"Sequence": {"id": "A", "type_id": 0}}]
    before, after = ([{"SpecialToken": {"id": token[0], "type_id": 0}}] if token else [] for token in (first, last))
    tokens = {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in filter(None, (first, last))}
    single = [*before, *around, *after]
    return {"type": "TemplateProcessing", "single": single, "pair": [*single, *around], "special_tokens": tokens}
