"""A GGUF file's tokenizer as a tokenizer.json: byte pairs as in GPT-2, or SentencePiece's as in Llama 2 and Gemma."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.gguf.pre_tokenizers import SPLITTERS, Splitter
from weightscope.gguf.vocabulary import Vocabulary

MODEL, PRE = "tokenizer.ggml.model", "tokenizer.ggml.pre"
TOKENS, KINDS, SCORES, MERGES = (f"tokenizer.ggml.{key}" for key in ("tokens", "token_type", "scores", "merges"))
# llama.cpp's kinds of tokens: those that texts are searched for before anything else, and those of single bytes.
CONTROL, WRITTEN = 3, 4
BLANK = "▁"


def tokenizer_json(metadata: Metadata, path: Path) -> str:
    """The content of the tokenizer.json that stands for the metadata of a file.

    Raises:
        NotImplementedByWeightscope: a kind of tokenizer, or a way to split text, that is not known.
        CheckpointError: the metadata holds no tokenizer, or parts that do not go together.
    """
    kind = metadata.text(MODEL)
    if kind is None:
        raise CheckpointError("its metadata holds no tokenizer", where=path, hint="give --tokens 1,2,3")
    make = _KINDS.get(kind)
    if make is None:
        raise NotImplementedByWeightscope(
            f"the tokenizer {kind!r:.60} of a GGUF file is not implemented", where=path, hint="give --tokens 1,2,3"
        )
    vocabulary = Vocabulary(metadata, path)
    tokens = vocabulary.texts(TOKENS)
    if not tokens:
        raise CheckpointError("its metadata lists no tokens", where=path, hint="give --tokens 1,2,3")
    return msgspec.json.encode(make(vocabulary, tokens)).decode()


def _byte_pairs(vocabulary: Vocabulary, tokens: list[str]) -> dict[str, Any]:
    """GPT-2's: bytes stand for themselves, pairs are merged in the order of a list."""
    metadata = vocabulary.metadata
    name = metadata.text(PRE)
    splitter = SPLITTERS.get(name or "")
    if splitter is None:
        raise NotImplementedByWeightscope(
            f"the pre-tokenizer {name!r:.60} of a GGUF file is not implemented",
            where=metadata.where,
            hint="give --tokens 1,2,3",
        )
    return _whole(
        vocabulary,
        tokens,
        begins=splitter.begins,
        normalizer=None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": _splits(splitter)},
        decoder={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        model={
            "merges": vocabulary.texts(MERGES),
            "ignore_merges": splitter.ignores_merges,
            "byte_fallback": False,
            "fuse_unk": False,
            "unk_token": None,
        },
    )


def _splits(splitter: Splitter) -> list[dict[str, Any]]:
    split = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in splitter.patterns
    ]
    return [*split, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]


def _sentence_pieces(vocabulary: Vocabulary, tokens: list[str]) -> dict[str, Any]:
    """SentencePiece's byte pairs: blanks are letters, and the pair that makes the likeliest token is merged first."""
    metadata = vocabulary.metadata
    prefixed = metadata.flag("tokenizer.ggml.add_space_prefix")
    blanks = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    first = [] if prefixed is False else [{"type": "Prepend", "prepend": BLANK}]
    last = [] if prefixed is False else [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    unknown = metadata.whole("tokenizer.ggml.unknown_token_id")
    return _whole(
        vocabulary,
        tokens,
        begins=True,
        normalizer={"type": "Sequence", "normalizers": [*first, blanks]},
        pre_tokenizer=None,
        decoder={
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": BLANK}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *last,
            ],
        },
        model={
            "merges": _merges(vocabulary, tokens),
            "ignore_merges": False,
            "byte_fallback": True,
            "fuse_unk": True,
            "unk_token": tokens[unknown] if unknown is not None and 0 <= unknown < len(tokens) else None,
        },
    )


def _merges(vocabulary: Vocabulary, tokens: list[str]) -> list[tuple[str, str]]:
    """Every pair of tokens that makes a third, in the order in which they are merged."""
    scores = vocabulary.numbers(SCORES)
    if len(scores) != len(tokens):
        raise CheckpointError(
            f"its metadata has {len(scores):,} scores for {len(tokens):,} tokens",
            where=vocabulary.metadata.where,
            hint="give --tokens 1,2,3",
        )
    ids = _numbered(tokens)
    pairs: list[tuple[str, str]] = []
    costs: list[float] = []
    for token, score in zip(tokens, scores, strict=True):
        halves = ((token[:place], token[place:]) for place in range(1, len(token)))
        found = [pair for pair in halves if pair[0] in ids and pair[1] in ids]
        if len(found) > 1:
            found.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        pairs += found
        costs += [-score] * len(found)
    # Python's sort keeps pairs of one score in their order.
    return [pairs[place] for place in sorted(range(len(pairs)), key=costs.__getitem__)]


def _whole(
    vocabulary: Vocabulary,
    tokens: list[str],
    *,
    begins: bool,
    model: Mapping[str, Any],
    **parts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    kinds = vocabulary.numbers(KINDS)
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
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=False))
        if kind in (CONTROL, WRITTEN) and token
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        **parts,
        "post_processor": _ends(vocabulary.metadata, tokens, begins=begins),
        "model": {
            "type": "BPE",
            "dropout": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "vocab": _numbered(tokens),
            **model,
        },
    }


def _numbered(tokens: list[str]) -> dict[str, int]:
    """Tokens with their ids."""
    return {token: number for number, token in enumerate(tokens)}


def _ends(metadata: Metadata, tokens: list[str], *, begins: bool) -> dict[str, Any] | None:
    """What stands before and after a text."""
    stated = metadata.flag("tokenizer.ggml.add_bos_token")
    first = _special(metadata, tokens, "bos", wanted=begins if stated is None else stated)
    last = _special(metadata, tokens, "eos", wanted=bool(metadata.flag("tokenizer.ggml.add_eos_token")))
    if first is None and last is None:
        return None
    around = [{"Sequence": {"id": "A", "type_id": 0}}]
    before, after = ([{"SpecialToken": {"id": token[0], "type_id": 0}}] if token else [] for token in (first, last))
    special = {
        token: {"id": token, "ids": [number], "tokens": [token]} for token, number in filter(None, (first, last))
    }
    whole = [*before, *around, *after]
    return {"type": "TemplateProcessing", "single": whole, "pair": [*whole, *around], "special_tokens": special}


def _special(metadata: Metadata, tokens: list[str], name: str, *, wanted: bool) -> tuple[str, int] | None:
    number = metadata.whole(f"tokenizer.ggml.{name}_token_id")
    if not wanted or number is None:
        return None
    if not 0 <= number < len(tokens):
        raise CheckpointError(
            f"tokenizer.ggml.{name}_token_id is {number:,}, and there are {len(tokens):,} tokens", where=metadata.where
        )
    return tokens[number], number


_KINDS: Mapping[str, Callable[[Vocabulary, list[str]], dict[str, Any]]] = {
    "gpt2": _byte_pairs,
    "llama": _sentence_pieces,
}
