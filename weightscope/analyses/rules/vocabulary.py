"""The ids that a tokenizer's files give out: tokenizer.json, or what older tokenizers have instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from weightscope.checkpoint.folder import Folder
from weightscope.config import GIT_LFS
from weightscope.findings import Finding

MAX_TOKENIZER = 200_000_000
POINTED_AT = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt")


class _Added(msgspec.Struct):
    id: int
    content: str = ""


class _Model(msgspec.Struct):
    """BPE and WordPiece map tokens to ids, Unigram lists them in order."""

    vocab: dict[str, int] | list[msgspec.Raw] = {}


class _Tokenizer(msgspec.Struct):
    model: _Model
    added_tokens: list[_Added] = []


class Unreadable(Exception):  # noqa: N818 - a file is
    """Why a file gives no ids."""


def pointers(folder: Folder) -> list[str]:
    """The tokenizer's files that are Git LFS pointers, by their first bytes."""
    return [name for name in POINTED_AT if folder.holds(name) and _starts(folder, name).startswith(GIT_LFS)]


def highest_ids(folder: Folder) -> Iterator[tuple[str, int] | Finding]:
    """(file, highest id) of the files that loaders read, or what is wrong with one of them."""
    first = next((name for name in _READERS if folder.holds(name)), None)
    for name in (first, "added_tokens.json"):
        if name is None or not folder.holds(name):
            continue
        try:
            ids = _READERS[name](_read(folder.fetch(name)))
        except Unreadable as error:
            yield Finding(
                code="config-invalid",
                severity="error",
                message=f"{name} cannot be read ({error})",
                hint="restore it from the model's repository",
            )
        else:
            yield name, ids


def id_of(folder: Folder, token: str) -> int | None:
    """The id of a token, where tokenizer.json tells it."""
    if not folder.holds("tokenizer.json"):
        return None
    try:
        tokenizer = _decoded(_read(folder.fetch("tokenizer.json")), _Tokenizer)
    except Unreadable:
        return None
    added = {item.content: item.id for item in tokenizer.added_tokens}
    vocab = tokenizer.model.vocab if isinstance(tokenizer.model.vocab, dict) else {}
    return added.get(token, vocab.get(token))


def _starts(folder: Folder, name: str) -> bytes:
    try:
        with folder.fetch(name).open("rb") as file:
            return file.read(len(GIT_LFS))
    except OSError:
        return b""


def _read(path: Path) -> bytes:
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_TOKENIZER else b""
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    if not raw:
        raise Unreadable("empty, or too large for a tokenizer")
    return raw


def _decoded(raw: bytes, kind: type[msgspec.Struct]) -> _Tokenizer:
    try:
        decoded = msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    assert isinstance(decoded, _Tokenizer)
    return decoded


def _of_tokenizer(raw: bytes) -> int:
    tokenizer = _decoded(raw, _Tokenizer)
    vocab = tokenizer.model.vocab
    ids = vocab.values() if isinstance(vocab, dict) else range(len(vocab))
    return max((*ids, *(token.id for token in tokenizer.added_tokens)), default=-1)


def _of_map(raw: bytes) -> int:
    try:
        ids = msgspec.json.decode(raw, type=dict[str, int])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    return max(ids.values(), default=-1)


def _of_lines(raw: bytes) -> int:
    return len(raw.splitlines()) - 1


def _of_sentencepiece(raw: bytes) -> int:
    """SentencePiece's model is a protobuf message whose field 1 is repeated, a piece each time."""
    pieces, at = 0, 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        if tag & 7 == 2:
            length, at = _varint(raw, at)
            at += length
        elif tag & 7 == 0:
            _, at = _varint(raw, at)
        elif tag & 7 in (1, 5):
            at += 8 if tag & 7 == 1 else 4
        else:
            raise Unreadable("not a SentencePiece model")
        pieces += tag >> 3 == 1
    if at != len(raw) or not pieces:
        raise Unreadable("not a SentencePiece model, or cut short")
    return pieces - 1


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if at >= len(raw):
            raise Unreadable("cut short")
        byte = raw[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise Unreadable("not a SentencePiece model")


# The first of these that is there is what loaders read; added_tokens.json goes with any.
_READERS: Mapping[str, Callable[[bytes], int]] = {
    "tokenizer.json": _of_tokenizer,
    "vocab.json": _of_map,
    "vocab.txt": _of_lines,
    "tokenizer.model": _of_sentencepiece,
    "spiece.model": _of_sentencepiece,
    "added_tokens.json": _of_map,
}
