"""The tokenizers library in a child process: loads one tokenizer.json, encodes texts and spells tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

MAX_TOKEN_TEXT = 1_000
# Decoded as soon as a text is encoded: what breaks on decoding is found before the pass, not after it.
PROBED = 64
# Ids are unsigned 32-bit numbers in the library.
MAX_ID = 2**32 - 1
# Settings of a sane file; padding and truncation are dropped, as transformers drops them.
MAX_PADDING = 10_000_000

_loaded: list[Any] = []


def handle(payload: bytes) -> bytes:
    """Answer one request: a JSON array of the operation's name and its arguments."""
    name, *arguments = json.loads(payload)
    return json.dumps(OPERATIONS[name](*arguments)).encode()


def load(path: str, most: int) -> bool:
    """Read and build the tokenizer; `path` is as the file system spells it, bytes that are no UTF-8 escaped."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 10 ms
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"larger than {most:,} bytes")
    return _build(content)


def build(content: str) -> bool:
    """Build the tokenizer of which this is the JSON."""
    return _build(content.encode())


def _build(content: bytes) -> bool:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise ValueError(str(error).removeprefix("Cannot instantiate Tokenizer from buffer: ")) from None
    refuse_settings(tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    _loaded[:] = [tokenizer]
    return True


def refuse_settings(tokenizer: Any) -> None:
    """Raise for padding or truncation that no text can have."""
    padding, truncation = tokenizer.padding or {}, tokenizer.truncation or {}
    longest = max(padding.get("length") or 0, padding.get("pad_to_multiple_of") or 0)
    if longest > MAX_PADDING:
        raise ValueError(f"padding to {longest:,} tokens")
    stride, length = truncation.get("stride") or 0, truncation.get("max_length")
    if length is not None and stride >= length:
        raise ValueError(f"truncation to {length:,} tokens with a stride of {stride:,}")


def encode(text: str, most: int) -> list[int]:
    """Ids of a text, with the special tokens that the tokenizer adds."""
    encoding = _loaded[0].encode(text)
    if len(encoding) > most:
        raise ValueError(f"{len(encoding):,} tokens for a text of {len(text):,} characters")
    ids: list[int] = encoding.ids
    for before, following in pairwise(ids[:PROBED]):
        after(before, [following])
    return ids


def pieces(text: str, most: int) -> list[int]:
    """Ids of a text within another."""
    ids: list[int] = _loaded[0].encode(text, add_special_tokens=False).ids
    if len(ids) > most:
        raise ValueError(f"{len(ids):,} tokens for a text of {len(text):,} characters")
    return ids


def spell(id: int) -> str:
    """A token's own spelling, special ones included."""
    return bounded(_loaded[0].id_to_token(id) or f"<{id}>" if 0 <= id <= MAX_ID else f"<{id}>")


def after(before: int, ids: list[int]) -> list[str]:
    """The text of each of some tokens where it follows another: decoders drop the blank before a text's first token."""
    first = decode([before])
    return [follow(first, before, token) for token in ids]


def follow(first: str, before: int, id: int) -> str:
    """One token's text; bytes that are no character by themselves come as the replacement character."""
    both = decode([before, id])
    text = both[len(first) :] if both.startswith(first) else decode([id])
    return bounded(text) if text and "\ufffd" not in text else spell(id)


def rows(given: list[tuple[int, list[int]]]) -> list[list[str]]:
    """For each token, the texts of some that may follow it."""
    return [after(before, ids) for before, ids in given]


def decode(ids: list[int]) -> str:
    """The text of tokens; an id that the library cannot hold has none."""
    text: str = _loaded[0].decode([token for token in ids if 0 <= token <= MAX_ID], skip_special_tokens=False)
    return text


def bounded(text: str) -> str:
    """The text, if a token may be as long."""
    if len(text) > MAX_TOKEN_TEXT:
        raise ValueError(f"a token of {len(text):,} characters")
    return text


OPERATIONS: dict[str, Callable[..., object]] = {
    "load": load,
    "build": build,
    "encode": encode,
    "pieces": pieces,
    "spell": spell,
    "rows": rows,
}
