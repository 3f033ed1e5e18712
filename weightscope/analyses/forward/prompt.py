"""What to run on: token ids as given, a text through the model's own tokenizer, or what serves for any model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec.structs import replace

from weightscope.analyses.forward.request import MAX_TOKENS, too_many_tokens
from weightscope.analyses.forward.speller import Speller
from weightscope.errors import UsageError, WeightscopeError

# How tokenizers of masked models write the token to be guessed.
MASKS = ("[MASK]", "<mask>")
DEFAULT_PROMPT = "The capital of France is"
# Ids for a model without a tokenizer: as many, spread over the vocabulary.
DEFAULT_IDS = 8
# Bytes of UTF-8: more than a pass takes as tokens.
MAX_PROMPT = 4_000_000
Origin = Literal["tokens", "text", "default text", "default tokens", "golden", "none"]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Token ids and where they come from; only of real text does the loss say anything.

    `text` is what was encoded, `masks` are the places of a masked model's mask token.
    """

    tokens: tuple[int, ...]
    origin: Origin
    text: str | None = None
    notes: tuple[str, ...] = ()
    masks: tuple[int, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether a person or this program wrote it in a language."""
        return self.origin in ("text", "default text")


def find_speller(directory: Path | None, *, text: str | None = None) -> tuple[Speller | None, tuple[str, ...]]:
    """The model's tokenizer, or None and why; only what was not asked for may be done without.

    The tokenizer starts to load in a process of its own. Whoever gets it closes it.

    Args:
        directory: where the model's tokenizer.json lies, if anywhere.
        text: the text that a user wants to run on, if any.

    Raises:
        UsageError: an empty or too long text, or one and no tokenizer to encode it.
        CheckpointError: there is a text, and tokenizer.json is too large.
        WeightscopeError: there is a text, and the tokenizers library is not installed.
    """
    path = directory / "tokenizer.json" if directory else None
    if text is not None:
        check_text(text)
        if path is None or not path.is_file():
            raise UsageError(
                "tokenizer.json is missing; it is needed to encode a prompt",
                where=directory,
                hint="fetch it from the model's repository, or give --tokens 1,2,3",
            )
        return Speller(path), ()
    if path is None or not path.is_file():
        return None, ("There is no tokenizer.json, so fixed token ids were used.",)
    try:
        return Speller(path), ()
    except (WeightscopeError, OSError) as error:
        return None, (without(error),)


def without(error: WeightscopeError | OSError, which: str = "tokenizer.json") -> str:
    """The note on a tokenizer that nobody asked for and that cannot be used."""
    what = error.what if isinstance(error, WeightscopeError) else f"it cannot be read ({error.strerror})"
    return f"{which} was not used: {what}."


def encoded(speller: Speller, text: str) -> tuple[int, ...]:
    """The ids of a text, at least one.

    Raises:
        UsageError: the tokenizer makes none.
        CheckpointError: the tokenizer cannot be used.
    """
    ids = speller.encode(text)
    if not ids:
        raise UsageError("the prompt gives no tokens", hint="use a longer prompt")
    return ids


def default_prompt(speller: Speller | None, notes: tuple[str, ...], vocabulary: int) -> tuple[Prompt, Speller | None]:
    """What to run on where a user says nothing, and the tokenizer if it can be used.

    Args:
        speller: the model's tokenizer, if there is one.
        notes: why there is none.
        vocabulary: rows of the embedding, for ids to run on without a tokenizer.
    """
    if speller:
        try:
            ids = encoded(speller, DEFAULT_PROMPT)
            return Prompt(tokens=ids, origin="default text", text=DEFAULT_PROMPT), speller
        except WeightscopeError as error:
            notes = (without(error),)
    spread = dict.fromkeys(vocabulary * step // (DEFAULT_IDS + 1) for step in range(1, DEFAULT_IDS + 1))
    return Prompt(tokens=tuple(spread), origin="default tokens", notes=notes), None


def with_masks(prompt: Prompt, speller: Speller) -> Prompt:
    """The prompt of a masked model, its mask token written as the tokenizer does, and where it stands.

    What serves any model ends with a mask.
    """
    known = ((text, speller.pieces(text)) for text in MASKS)
    found = next(((text, ids[0]) for text, ids in known if len(ids) == 1 and speller.token(ids[0]) == text), None)
    if found is None or not prompt.is_text:
        return prompt
    spelled, mask = found
    text = f"{prompt.text} {spelled}." if prompt.origin == "default text" else prompt.text or ""
    for other in MASKS:
        text = text.replace(other, spelled)
    tokens = speller.encode(text)
    masks = tuple(place for place, token in enumerate(tokens) if token == mask)
    return replace(prompt, tokens=tokens, text=text, masks=masks)


def given_tokens(text: str) -> tuple[int, ...]:
    """The ids of `--tokens`.

    Raises:
        UsageError: there are none, too many, or something else between the commas.
    """
    if text.count(",") > MAX_TOKENS:
        raise too_many_tokens(text.count(",") + 1)
    parts = text.replace(",", " ").split()
    if len(parts) > MAX_TOKENS:
        raise too_many_tokens(len(parts))
    if not parts:
        raise UsageError("--tokens is empty", hint="write --tokens 1,2,3")
    wrong = next((part for part in parts if not part.removeprefix("-").isdecimal() or len(part) > 18), None)
    if wrong is not None:
        raise UsageError(f"--tokens: {wrong!r:.40} is not a token id", hint="write --tokens 1,2,3")
    return tuple(map(int, parts))


def read_text(path: Path) -> str:
    """The content of a prompt file, or of standard input for `-`.

    Raises:
        UsageError: it cannot be read as UTF-8, or is too long.
    """
    try:
        if str(path) == "-":
            return _decoded(path, sys.stdin.buffer)
        with path.open("rb") as file:
            return _decoded(path, file)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=path, hint="check the path") from None


def _decoded(path: Path, file: BinaryIO) -> str:
    content = file.read(MAX_PROMPT + 1)
    if len(content) > MAX_PROMPT:
        raise UsageError(f"is longer than {MAX_PROMPT:,} bytes", where=path, hint="use a shorter prompt")
    try:
        # Line ends as text files are read everywhere in Python.
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8 text", where=path) from None


def check_text(text: str) -> None:
    """See that a user's text is one that a tokenizer takes.

    Raises:
        UsageError: it is empty, too long, or not UTF-8.
    """
    if not text:
        raise UsageError("an empty prompt", hint="give some text, or --tokens")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise UsageError(
            "the prompt is not UTF-8 text", hint="save it as a UTF-8 file, and give --prompt-file"
        ) from None
    if size > MAX_PROMPT:
        raise UsageError(f"the prompt is longer than {MAX_PROMPT:,} bytes", hint="use a shorter prompt")
