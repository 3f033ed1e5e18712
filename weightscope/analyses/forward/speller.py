"""A model's own tokenizer.json, loaded and asked in a child process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from weightscope.analyses.forward.child import Child, ChildError
from weightscope.errors import CheckpointError, WeightscopeError

T = TypeVar("T")

MAX_TOKENIZER = 100_000_000
# Seconds of processor time: 256,000 tokens with their merges are 30 to 60 MB and load in one or two.
LOAD_SECONDS = 2.0
BYTES_A_SECOND = 8_000_000
TEXT_BYTES_A_SECOND = 250_000
PAIRS_A_SECOND = 20_000
# Byte-level tokenizers make a token of each byte, and some files add special tokens by the thousand.
TOKENS_A_BYTE = 4
MORE_TOKENS = 8_192
# Pairs of tokens that are spelled with one request, and the JSON of their texts.
PAIRS = 1_000
MAX_TEXTS = 16_000_000
MAX_FLAG = 100


class Speller:
    """The tokenizer of a model; the child starts to load it at once, and only questions wait for it.

    Args:
        path: the tokenizer.json, or the file that holds what it would say.
        content: what it would say, where there is no such file.

    Raises:
        CheckpointError: the file is too large. So do all questions, where the library cannot answer them.
        WeightscopeError: the tokenizers library is not installed, or no process can be started.
    """

    def __init__(self, path: Path, content: str | None = None) -> None:
        self._path = path
        size = path.stat().st_size if content is None else len(content)
        if size > MAX_TOKENIZER:
            raise self._error(f"is too large: {size:,} bytes; the limit is {MAX_TOKENIZER:,}")
        try:
            self._child = Child("tokenizer", "tokenizers")
        except ImportError:
            raise WeightscopeError(
                "the tokenizers library is not installed", hint="install weightscope-cli[forward], or give --tokens"
            ) from None
        except OSError as error:
            raise WeightscopeError(
                f"no process for the tokenizer can be started ({error.strerror})", hint="give --tokens"
            ) from None
        seconds = LOAD_SECONDS + size / BYTES_A_SECOND
        if content is None:
            # As bytes that are no UTF-8 are escaped in a str, so they are in JSON.
            self._send("load", [os.path.abspath(path), MAX_TOKENIZER], seconds)  # noqa: PTH100
        else:
            self._send("build", [content], seconds)
        self._loaded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text, with the special tokens that the tokenizer adds, neither padded nor truncated."""
        size = len(text.encode())
        most = TOKENS_A_BYTE * size + MORE_TOKENS
        return self._ask("encode", [text, most], size / TEXT_BYTES_A_SECOND, tuple[int, ...], 12 * most)

    def token(self, id: int) -> str:
        """A token's own spelling, special ones included."""
        return self._ask("spell", [id], 0, str, MAX_TEXTS)

    def pieces(self, text: str) -> tuple[int, ...]:
        """Ids of a text within another: without the special tokens that the tokenizer adds around a whole one."""
        most = TOKENS_A_BYTE * len(text.encode()) + MORE_TOKENS
        return self._ask("pieces", [text, most], 0, tuple[int, ...], 12 * most)

    def after(self, rows: Sequence[tuple[int, Sequence[int]]]) -> list[list[str]]:
        """For each token, the texts of some that may follow it: decoders drop the blank before a first token."""
        texts: list[list[str]] = []
        for part in _parts(rows):
            seconds = sum(len(ids) for _, ids in part) / PAIRS_A_SECOND
            texts += self._ask("rows", [part], seconds, list[list[str]], MAX_TEXTS)
        if [len(row) for row in texts] != [len(ids) for _, ids in rows]:
            raise self._error("the tokenizers library returned the wrong number of texts")
        return texts

    def _send(self, name: str, arguments: Sequence[object], seconds: float) -> None:
        import json

        # Python's own encoder, because msgspec has no escape for halves of a surrogate pair.
        self._child.send(json.dumps([name, *arguments]).encode(), seconds)

    def _ask(self, name: str, arguments: Sequence[object], seconds: float, kind: type[T], most: int) -> T:
        self._send(name, arguments, seconds)
        try:
            if not self._loaded:
                self._child.receive(MAX_FLAG)
                self._loaded = True
            return msgspec.json.decode(self._child.receive(most), type=kind)
        except (ChildError, msgspec.DecodeError) as error:
            what = "is not a tokenizer" if not self._loaded else "cannot be used"
            raise self._error(f"{what} ({error})") from None

    def _error(self, what: str) -> CheckpointError:
        return CheckpointError(
            what,
            where=self._path,
            hint="download it again from the model's repository, or give --tokens 1,2,3",
            code="config-invalid",
        )


def _parts(rows: Sequence[tuple[int, Sequence[int]]]) -> Iterator[list[tuple[int, Sequence[int]]]]:
    """Rows in order, so many at a time that a request holds about `PAIRS` pairs."""
    part: list[tuple[int, Sequence[int]]] = []
    pairs = 0
    for row in rows:
        part.append(row)
        pairs += len(row[1])
        if pairs >= PAIRS:
            yield part
            part, pairs = [], 0
    if part:
        yield part
