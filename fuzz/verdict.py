"""What an ending must look like: a line without anything that moves a terminal, or output that its format allows."""

from __future__ import annotations

import csv
import io
import json
import re
import traceback
from pathlib import Path

from fuzz.case import FoundError

ROOT = Path(__file__).parents[1]
CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ud800-\udfff]"
)
FAULTS = ("Traceback (most recent call last)", "internal error", "out of memory: the files")
FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?\d[\d.e+-]*")
JSON = ("json", "sarif", "gitlab", "rdjson", "shields")
# Formats whose lines are orders to a CI runner by their nature, or in which no line is a text's own.
ORDERS = ("github", *JSON)


def hold_line(text: str) -> None:
    """Raise for a message that is not one line of visible characters."""
    if found := CONTROLS.search(text):
        raise FoundError(f"control character {found[0]!r} in a message", text)
    if "\n" in text or not text:
        raise FoundError("a message that is not one line", text)


def hold_output(format: str, code: int, out: str, err: str) -> None:
    """Raise for the output of a command that is not as it should be."""
    whole = f"exit code {code}\n{out}\n{err}"
    for fault in FAULTS:
        if fault in err or fault in out:
            raise FoundError(f"{fault}: {_last(err)}", whole)
    if code not in (0, 1, 2):
        raise FoundError(f"exit code {code}", whole)
    if found := CONTROLS.search(out + err):
        raise FoundError(f"control character {found[0]!r} in {format}", whole)
    lines = err.splitlines()
    if (code == 2 and not lines) or not all(line.startswith("weightscope: ") for line in lines):
        raise FoundError("standard error is not lines of ours", whole)
    if format not in ORDERS and re.search(r"^\s*::", out + err, re.MULTILINE):
        raise FoundError(f"an order to a CI runner in {format}", whole)
    _hold_format(format, out, whole)


def _hold_format(format: str, out: str, whole: str) -> None:
    if not out:
        return
    if format in JSON:
        try:
            json.loads(out)
        except ValueError as error:
            raise FoundError(f"{format} that is none", f"{error}\n{whole}") from None
    if format == "csv":
        cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]
        formulas = [cell for cell in cells if FORMULA.match(cell) and not NUMBER.fullmatch(cell)]
        if formulas:
            raise FoundError("a formula in csv", f"{formulas[0]!r}\n{whole}")


def signature_of(error: BaseException) -> str:
    """The kind of an exception and the last place of ours that it went through."""
    if isinstance(error, FoundError):
        return error.signature
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{ROOT}/weightscope" in frame.filename]
    place = f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "elsewhere"
    return f"{type(error).__name__} at {place}"


def _last(text: str) -> str:
    """The end of the last line, less what differs from case to case."""
    last = text.strip().rpartition("\n")[2]
    return re.sub(r"\d+|'[^']*'|/\S+", "…", last)[-160:]
