"""JSON decoded slowly, with Python's own decoder: it finds repeated keys, names each fault, and takes `Infinity`."""

from __future__ import annotations

import json
import re
from typing import Any

# Half of a surrogate pair, if the other half does not stand beside it.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJSONError(Exception):
    """A text that is not JSON; says why."""


class RepeatedKeyError(Exception):
    """An object that gives one key two values."""

    def __init__(self, key: str, first: object, second: object) -> None:
        super().__init__(f"gives {key!r:.200} twice, as {_shown(first)} and as {_shown(second)}")
        self.key = key


def decoded_slowly(raw: bytes) -> object:
    """What the JSON says.

    Raises:
        RepeatedKeyError: an object gives one key two values.
        NotJSONError: it is not JSON, or not valid text.
    """
    try:
        # The standard decoder, because published configs hold `Infinity` (Mamba-2's time_step_limit).
        data: object = json.loads(raw.decode(), object_pairs_hook=once)
        if SURROGATE.search(raw):
            json.dumps(data, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise NotJSONError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise NotJSONError("nested too deeply") from None
    except UnicodeEncodeError:
        raise NotJSONError("contains half of a surrogate pair (\\ud800 to \\udfff), which is not valid text") from None
    except json.JSONDecodeError as error:
        raise NotJSONError(_why(error)) from None
    except ValueError as error:
        raise NotJSONError(f"not JSON ({error})") from None
    return data


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object from its pairs.

    Raises:
        RepeatedKeyError: a key is there twice.
    """
    data = dict(pairs)
    if len(data) < len(pairs):
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise RepeatedKeyError(key, seen[key], value)
            seen[key] = value
    return data


def _why(error: json.JSONDecodeError) -> str:
    """What is wrong; text after the end is what an interrupted download leaves that was resumed."""
    if error.msg != "Extra data":
        return f"not JSON ({error})"
    rest = error.doc[error.pos :]
    return (
        f"has text after its end: the JSON ends at line {error.lineno}, column {error.colno}, "
        f"and {len(rest):,} more characters follow ({rest.strip()[:40]!r})"
    )


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
