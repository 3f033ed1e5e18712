"""A GGUF file's tokenizer as a tokenizer.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.gguf.byte_pairs import byte_pairs, listed_pieces, sentence_pieces
from weightscope.gguf.vocabulary import Vocabulary
from weightscope.gguf.word_pieces import bert, likeliest_pieces

MODEL, TOKENS = "tokenizer.ggml.model", "tokenizer.ggml.tokens"


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


_KINDS: Mapping[str, Callable[[Vocabulary, list[str]], dict[str, Any]]] = {
    "gpt2": byte_pairs,
    "llama": sentence_pieces,
    "gemma4": listed_pieces,
    "bert": bert,
    "t5": likeliest_pieces,
}
