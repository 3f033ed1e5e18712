"""Tokenizers that merge pairs: bytes as in GPT-2, or SentencePiece's letters as in Llama 2 and the Gemmas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weightscope.errors import NotImplementedByWeightscope
from weightscope.gguf.pre_tokenizers import SPLITTERS, Splitter
from weightscope.gguf.tokenizer_file import BLANK, first_and_last, numbered, scores_of, special, whole
from weightscope.gguf.vocabulary import Vocabulary

PRE, MERGES = "tokenizer.ggml.pre", "tokenizer.ggml.merges"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}


def byte_pairs(vocabulary: Vocabulary, tokens: list[str]) -> dict[str, Any]:
    """GPT-2's: bytes stand for themselves, pairs are merged in the order of a list.

    Raises:
        NotImplementedByWeightscope: a way to split text that is not known.
    """
    metadata = vocabulary.metadata
    name = metadata.text(PRE)
    splitter = SPLITTERS.get(name or "")
    if splitter is None:
        raise NotImplementedByWeightscope(
            f"the pre-tokenizer {name!r:.60} of a GGUF file is not implemented",
            where=metadata.where,
            hint="give --tokens 1,2,3",
        )
    return whole(
        vocabulary,
        tokens,
        around=first_and_last(metadata, tokens, begins=splitter.begins),
        normalizer=None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": _splits(splitter)},
        decoder=BYTE_LEVEL,
        model=_model(tokens, vocabulary.texts(MERGES), ignore_merges=splitter.ignores_merges),
    )


def sentence_pieces(vocabulary: Vocabulary, tokens: list[str]) -> dict[str, Any]:
    """SentencePiece's byte pairs: blanks are letters, and the pair that makes the likeliest token is merged first."""
    return _letters(vocabulary, tokens, _merges(vocabulary, tokens), prefixed=True)


def listed_pieces(vocabulary: Vocabulary, tokens: list[str]) -> dict[str, Any]:
    """Gemma 4's: blanks are letters, and pairs are merged in the order of a list."""
    return _letters(vocabulary, tokens, vocabulary.texts(MERGES), prefixed=False)


def _splits(splitter: Splitter) -> list[dict[str, Any]]:
    split = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in splitter.patterns
    ]
    return [*split, BYTE_LEVEL]


def _letters(vocabulary: Vocabulary, tokens: list[str], merges: Sequence[object], *, prefixed: bool) -> dict[str, Any]:
    """Letters, or bytes where none is known. A text is `prefixed` with a blank unless the file says otherwise."""
    metadata = vocabulary.metadata
    said = metadata.flag("tokenizer.ggml.add_space_prefix")
    prefixed = prefixed if said is None else said
    blanks = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    first = [{"type": "Prepend", "prepend": BLANK}] if prefixed else []
    last = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefixed else []
    unknown = special(metadata, tokens, "unknown")
    return whole(
        vocabulary,
        tokens,
        around=first_and_last(metadata, tokens, begins=True),
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
        model=_model(tokens, merges, byte_fallback=True, fuse_unk=True, unk_token=unknown and unknown[0]),
    )


def _merges(vocabulary: Vocabulary, tokens: list[str]) -> list[tuple[str, str]]:
    """Every pair of tokens that makes a third, in the order in which they are merged."""
    scores = scores_of(vocabulary, tokens)
    ids = numbered(tokens)
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


def _model(
    tokens: list[str],
    merges: Sequence[object],
    *,
    ignore_merges: bool = False,
    byte_fallback: bool = False,
    fuse_unk: bool = False,
    unk_token: str | None = None,
) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "vocab": numbered(tokens),
        "merges": merges,
        "ignore_merges": ignore_merges,
        "byte_fallback": byte_fallback,
        "fuse_unk": fuse_unk,
        "unk_token": unk_token,
    }
