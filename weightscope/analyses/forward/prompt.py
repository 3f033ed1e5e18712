"""What to run on: token ids as given, a text through the model's own tokenizer, or what serves for any model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from weightscope.errors import CheckpointError, UsageError, WeightscopeError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DEFAULT_PROMPT = "The capital of France is"
# Ids for a model without a tokenizer: as many, spread over the vocabulary.
DEFAULT_IDS = 8
MAX_PROMPT = 10_000_000
Origin = Literal["tokens", "text", "default text", "default tokens", "golden", "none"]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Token ids and where they come from; only of real text does the loss say anything. `text` is what was encoded."""

    tokens: tuple[int, ...]
    origin: Origin
    text: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether a person or this program wrote it in a language."""
        return self.origin in ("text", "default text")


class Speller:
    """A model's own tokenizer.json."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokenizer = _load(path)

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text, with the special tokens that the tokenizer adds."""
        return tuple(self._tokenizer.encode(text).ids)

    def token(self, id: int) -> str:
        """A token's own spelling, special ones included."""
        return self._tokenizer.id_to_token(id) or f"<{id}>"

    def after(self, before: int, id: int) -> str:
        """A token's text where it follows another: decoders drop the blank before a text's first token."""
        first = self._tokenizer.decode([before], skip_special_tokens=False)
        both = self._tokenizer.decode([before, id], skip_special_tokens=False)
        text = both[len(first) :] if both.startswith(first) else self._tokenizer.decode([id], skip_special_tokens=False)
        # Bytes that are no character by themselves come as the replacement character.
        return text if text and "\ufffd" not in text else self.token(id)


def read_prompt(
    directory: Path | None, *, tokens: str | None = None, text: str | None = None, vocabulary: int = 0
) -> tuple[Prompt, Speller | None]:
    """The prompt that a user asked for, and the tokenizer if there is one that can be used.

    Args:
        directory: where the model's tokenizer.json lies, if anywhere.
        tokens: comma-separated ids.
        text: a text to encode.
        vocabulary: rows of the embedding, for ids to run on where nothing else is given.

    Raises:
        UsageError: an empty prompt, ids that are none, or a text and no tokenizer to encode it.
        CheckpointError: tokenizer.json is none.
        WeightscopeError: the tokenizers library is not installed.
    """
    path = directory / "tokenizer.json" if directory else None
    if tokens is not None:
        return Prompt(tokens=_ids(tokens), origin="tokens"), _optional(path)[0]
    if text is not None:
        if not text:
            raise UsageError("an empty prompt", hint="write something, or give --tokens")
        if path is None or not path.is_file():
            raise UsageError(
                "there is no tokenizer.json beside the weights to encode a prompt with",
                where=directory,
                hint="fetch it from the model's repository, or give --tokens 1,2,3",
            )
        speller = Speller(path)
        return Prompt(tokens=_encoded(speller, text), origin="text", text=text), speller
    default, notes = _optional(path)
    if default:
        ids = _encoded(default, DEFAULT_PROMPT)
        return Prompt(tokens=ids, origin="default text", text=DEFAULT_PROMPT), default
    spread = dict.fromkeys(vocabulary * step // (DEFAULT_IDS + 1) for step in range(1, DEFAULT_IDS + 1))
    return Prompt(tokens=tuple(spread), origin="default tokens", notes=notes), None


def read_text(path: Path) -> str:
    """The content of a prompt file, or of standard input for `-`.

    Raises:
        UsageError: it cannot be read as UTF-8.
    """
    import sys

    try:
        if str(path) == "-":
            return sys.stdin.read(MAX_PROMPT)
        if path.is_file() and path.stat().st_size > MAX_PROMPT:
            raise UsageError(f"is longer than {MAX_PROMPT:,} bytes", where=path, hint="give a page of it")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=path, hint="check the path") from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8 text", where=path) from None


def _encoded(speller: Speller, text: str) -> tuple[int, ...]:
    ids = speller.encode(text)
    if not ids:
        raise UsageError("the tokenizer makes no tokens of the prompt", hint="write something longer")
    return ids


def _ids(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.replace(" ", ",").split(",")]
    parts = [part for part in parts if part]
    if not parts:
        raise UsageError("--tokens names no token", hint="write --tokens 1,2,3")
    wrong = next((part for part in parts if not part.removeprefix("-").isdecimal() or len(part) > 18), None)
    if wrong is not None:
        raise UsageError(f"--tokens: {wrong!r:.40} is no token id", hint="write --tokens 1,2,3")
    return tuple(map(int, parts))


def _optional(path: Path | None) -> tuple[Speller | None, tuple[str, ...]]:
    """The tokenizer, or why there is none; only what was not asked for may be done without."""
    if path is None or not path.is_file():
        return None, ("There is no tokenizer.json: run on fixed token ids.",)
    try:
        return Speller(path), ()
    except WeightscopeError as error:
        return None, (f"{error.what}: run without it.",)


def _load(path: Path) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise WeightscopeError(
            "the tokenizers library is not installed", hint="install weightscope-cli[forward], or give --tokens"
        ) from None
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise CheckpointError(
            f"is no tokenizer ({error})",
            where=path,
            hint="restore it from the model's repository",
            code="config-invalid",
        ) from None
