"""Tokenizers that look words up piece by piece: BERT's, and SentencePiece's likeliest pieces as in T5."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.errors import NotImplementedByWeightscope
from weightscope.gguf.tokenizer_file import (
    BLANK,
    CONTROL,
    KINDS,
    first_and_last,
    numbered,
    scores_of,
    special,
    unknown,
    whole,
)
from weightscope.gguf.vocabulary import Vocabulary

CHARACTERS = "tokenizer.ggml.precompiled_charsmap"
LOWER, PLAIN = (f"tokenizer.ggml.normalizer.{key}" for key in ("lowercase", "strip_accents"))
# What stands before a piece that goes on a word, in BERT's own vocabulary; the longest word, and the usual unknown one.
WITHIN, LONGEST, NOTHING = "##", 100, "[UNK]"


def bert(vocabulary: Vocabulary, tokens: list[str]) -> dict[str, Any]:
    """BERT's: the longest piece of a word that is a token, then the longest of the rest."""
    metadata = vocabulary.metadata
    pieces = _own_spelling(vocabulary, tokens)
    lower = _lowers(metadata, pieces)
    accents = metadata.flag(PLAIN)
    none = unknown(vocabulary, pieces)
    return whole(
        vocabulary,
        pieces,
        around=(
            special(metadata, pieces, "cls") or special(metadata, pieces, "bos"),
            special(metadata, pieces, "seperator") or special(metadata, pieces, "eos"),
        ),
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": accents,
            "lowercase": lower,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": WITHIN, "cleanup": True},
        model={
            "type": "WordPiece",
            "unk_token": none[0] if none else NOTHING,
            "continuing_subword_prefix": WITHIN,
            "max_input_chars_per_word": LONGEST,
            "vocab": numbered(pieces),
        },
    )


def likeliest_pieces(vocabulary: Vocabulary, tokens: list[str]) -> dict[str, Any]:
    """SentencePiece's unigrams: of all ways to divide a text the likeliest.

    Raises:
        CheckpointError: there are not as many scores as tokens.
    """
    metadata, scores = vocabulary.metadata, scores_of(vocabulary, tokens)
    prefixed = metadata.flag("tokenizer.ggml.add_space_prefix") is not False
    prepend = "always" if prefixed else "never"
    blanks = {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": prepend, "split": True}
    none = unknown(vocabulary, tokens)
    return whole(
        vocabulary,
        tokens,
        around=first_and_last(metadata, tokens, begins=False, ends=True),
        normalizer={"type": "Sequence", "normalizers": _normalizers(vocabulary)},
        pre_tokenizer=blanks,
        decoder=blanks,
        model={
            "type": "Unigram",
            "unk_id": none and none[1],
            "vocab": list(zip(tokens, scores, strict=True)),
            "byte_fallback": False,
        },
    )


def _own_spelling(vocabulary: Vocabulary, tokens: list[str]) -> list[str]:
    """The vocabulary as BERT has it: the converter marks pieces that begin a word, BERT those that go on."""
    kinds = vocabulary.numbers(KINDS)
    controls = {number for number, kind in enumerate(kinds) if kind == CONTROL}
    return [
        token if number in controls else token.removeprefix(BLANK) if token.startswith(BLANK) else WITHIN + token
        for number, token in enumerate(tokens)
    ]


def _lowers(metadata: Metadata, pieces: list[str]) -> bool:
    """Whether text is lowercased: what the file says, or else where no token has capitals.

    Raises:
        NotImplementedByWeightscope: nothing tells.
    """
    said = metadata.flag(LOWER)
    if said is not None:
        return said
    if any(piece != piece.lower() and not piece.startswith("[") for piece in pieces):
        raise NotImplementedByWeightscope(
            f"the tokenizer has tokens with capitals, and {LOWER} does not say whether text is lowercased",
            where=metadata.where,
            hint="give --tokens 1,2,3",
        )
    return True


def _normalizers(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """What is done to a text before it is divided."""
    table = vocabulary.octets(CHARACTERS)
    written = b64encode(table).decode()
    steps = [{"type": "Precompiled", "precompiled_charsmap": written}] if table else []
    if vocabulary.metadata.flag("tokenizer.ggml.remove_extra_whitespaces") is False:
        return steps
    blanks = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": BLANK}
    return [*steps, {"type": "Strip", "strip_left": False, "strip_right": True}, blanks]
