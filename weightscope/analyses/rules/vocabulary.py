"""The ids that a tokenizer's files give out: tokenizer.json, or what older tokenizers have instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from weightscope.checkpoint.folder import Folder
from weightscope.config import GIT_LFS
from weightscope.findings import Finding

MAX_TOKENIZER = 100_000_000
# Commas in the vocabulary's JSON, where a token takes one or two; the largest published have 262,144 tokens.
MAX_COMMAS = 2_000_000
POINTED_AT = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt")

TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
T = TypeVar("T")


class _Added(msgspec.Struct, gc=False):
    id: TokenId
    content: str = ""


class _Scored(msgspec.Struct, array_like=True, gc=False):
    """A token and its score, of which only the place is used."""


class _Model(msgspec.Struct):
    """BPE and WordPiece map tokens to ids, Unigram lists them in order."""

    vocab: msgspec.Raw = msgspec.Raw(b"{}")


class _Tokenizer(msgspec.Struct):
    """What is used of the file, not decoded yet: merges are skipped, and a list may have any number of items."""

    model: _Model
    added_tokens: msgspec.Raw = msgspec.Raw(b"[]")


class Unreadable(ValueError):  # noqa: N818 - a file is
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
                hint="download it again from the model's repository",
            )
        else:
            yield name, ids


def id_of(folder: Folder, token: str) -> int | None:
    """The id of a token, where tokenizer.json tells it."""
    if not folder.holds("tokenizer.json"):
        return None
    try:
        vocab, added = _parts(_read(folder.fetch("tokenizer.json")))
    except Unreadable:
        return None
    ids = vocab if isinstance(vocab, dict) else {}
    return {item.content: item.id for item in added}.get(token, ids.get(token))


def added_ids(folder: Folder) -> list[int]:
    """The ids, in order, of tokens added behind the tokenizer's own vocabulary; none where a file is broken."""
    try:
        if folder.holds("tokenizer.json"):
            vocab, added = _parts(_read(folder.fetch("tokenizer.json")))
            last = max(vocab.values() if isinstance(vocab, dict) else range(len(vocab)), default=-1)
            return sorted({token.id for token in added if token.id > last})
        if folder.holds("added_tokens.json"):
            return sorted(_decoded(_read(folder.fetch("added_tokens.json")), dict[str, TokenId]).values())
    except Unreadable:
        pass
    return []


def _starts(folder: Folder, name: str) -> bytes:
    try:
        with folder.fetch(name).open("rb") as file:
            return file.read(len(GIT_LFS))
    except OSError:
        return b""


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TOKENIZER + 1)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    if len(raw) > MAX_TOKENIZER:
        raise Unreadable(f"it is larger than {MAX_TOKENIZER:,} bytes")
    return raw


def _decoded(raw: bytes, kind: type[T]) -> T:
    if raw.count(b",") > MAX_COMMAS and kind is not _Tokenizer:
        raise Unreadable(f"its vocabulary has more than {MAX_COMMAS:,} commas")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None


def _parts(raw: bytes) -> tuple[dict[str, int] | list[_Scored], list[_Added]]:
    """The vocabulary and the added tokens of a tokenizer.json."""
    tokenizer = _decoded(raw, _Tokenizer)
    vocab, added = bytes(tokenizer.model.vocab), bytes(tokenizer.added_tokens)
    listed = vocab.lstrip().startswith(b"[")
    found: dict[str, int] | list[_Scored] = (
        _decoded(vocab, list[_Scored]) if listed else _decoded(vocab, dict[str, TokenId])
    )
    return found, _decoded(added, list[_Added])


def _of_tokenizer(raw: bytes) -> int:
    vocab, added = _parts(raw)
    ids = vocab.values() if isinstance(vocab, dict) else range(len(vocab))
    return max((*ids, *(token.id for token in added)), default=-1)


def _of_map(raw: bytes) -> int:
    return max(_decoded(raw, dict[str, TokenId]).values(), default=-1)


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
