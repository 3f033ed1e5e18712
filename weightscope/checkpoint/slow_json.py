"""JSON decoded slowly: each fault is named, and what is no strict JSON but is published is taken."""

from __future__ import annotations

import json
import re

from weightscope.checkpoint.repeated import once

# Half of a surrogate pair, if the other half does not stand beside it.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJSONError(Exception):
    """A text that is none; says why."""


def decoded_slowly(raw: bytes) -> object:
    """What the JSON says.

    Raises:
        RepeatedKeyError: one thing twice.
        NotJSONError: nothing.
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


def _why(error: json.JSONDecodeError) -> str:
    """What is wrong; text after the end is what an interrupted download leaves that was resumed."""
    if error.msg != "Extra data":
        return f"not JSON ({error})"
    rest = error.doc[error.pos :]
    return (
        f"has text after its end: the JSON ends at line {error.lineno}, column {error.colno}, "
        f"and {len(rest):,} more characters follow ({rest.strip()[:40]!r})"
    )
