"""What a user can be told when something could not be done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from weightscope.escapes import visible

# How a message names a file: by its path, or by what was asked for where it is elsewhere.
Where = str | Path


class WeightscopeError(Exception):
    """A failure that one line explains: where it is, what is wrong, and what to do about it.

    Attributes:
        what (str): what is wrong.
        where (str | None): the path, or what was asked for; None where it has no place.
        hint (str): what to do.
        code (str | None): the code of docs/findings.md; None where the failure has none.
    """

    def __init__(self, what: str, *, where: Where | None = None, hint: str = "", code: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else printable_path(where)
        self.hint = hint
        self.code = code
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {hint}" if hint else ""
        super().__init__(one_line(f"{place}{what}{remedy}"))


class UsageError(WeightscopeError):
    """The request itself makes no sense: an unknown path, an option that does not fit."""


class CheckpointError(WeightscopeError):
    """A file is not the checkpoint it claims to be; `where` names the file."""


class ConfigError(WeightscopeError):
    """A config.json that cannot be read or does not say what its family needs."""


class UndeclaredError(ConfigError):
    """A sound config that describes something no family or quantization scheme declares."""

    def __init__(self, what: str, *, where: Where | None = None, hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint, code="unknown-architecture")


class RemoteError(WeightscopeError):
    """What is not here could not be had: no such repository, no access, no network, a server that misbehaves."""


class NotImplementedByWeightscope(WeightscopeError):  # noqa: N818 - says more than UnsupportedError
    """Something real that weightscope does not implement; the message names it."""


class UnknownAttributeError(WeightscopeError, AttributeError):
    """An object or the module has no attribute of that name."""

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str]) -> Self:
        """The error about `name`; the hint names the public one of `known` that is most like it."""
        hint = ""
        # Python and notebooks ask for names with underscores all the time, and do not mean others.
        if not name.startswith("_"):
            from difflib import get_close_matches

            public = [other for other in known if not other.startswith("_")]
            near = get_close_matches(name, public, n=1) or get_close_matches(name.lower(), public, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
        return cls(f"{what} {name!r}", hint=hint)


class UnknownTensorError(UsageError, KeyError):
    """A model has no tensor of that name."""

    def __str__(self) -> str:
        # KeyError would put the message in quotes.
        return str(self.args[0])


def printable_path(path: Where) -> str:
    """A path as text, bytes that are no UTF-8 spelled out: JSON has no place for them."""
    text = os.fspath(path)
    return text if text.isascii() else os.fsencode(text).decode("utf-8", "backslashreplace")


def one_line(text: str, limit: int = 600) -> str:
    """The text on one line without control characters, so that a hostile name cannot forge output."""
    # A hostile name can be 100 MB long; no character takes less than one.
    flat = visible(text[: limit + 1])
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
