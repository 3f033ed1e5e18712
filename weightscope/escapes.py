"""Text that others wrote, made visible: nothing of it moves a cursor, hides, reorders or gives a CI runner orders."""

from __future__ import annotations

import re

# Letters and marks to Unicode that show nothing; Python calls them printable.
BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
# Printable ASCII passes, but for `##[` and its kin: CI runners obey them wherever they stand in a line of a log.
SUSPECT = re.compile(r"[^ -~]|##(?=\[|vso\[|teamcity\[)")
JSON_SUSPECT = re.compile(SUSPECT.pattern.replace("[^ -~]", r"[^\n -~]"))
# An order to GitHub's runner where it begins a line, blanks before it or not.
ORDER = re.compile(r"^( *):(?=:)")


def visible(text: str) -> str:
    r"""The text with each character that shows nothing spelled as Python spells it: \x1b, \u202e.

    That is all that `str.isprintable` refuses: controls, bidi marks, zero-width characters, separators of lines, lone
    surrogates.
    """
    return text if _is_clean(text) else SUSPECT.sub(_spelled, text)


def log_line(text: str) -> str:
    """`visible`, and no order to a CI runner as a whole line of output either."""
    return ORDER.sub(r"\1\\x3a", visible(text))


def json_text(data: object, *, indent: int | None = 2) -> str:
    r"""The data as JSON whose text is as visible; a decoder gives back exactly what was there.

    A lone surrogate is written as `\ud800`, which the decoders of Python and JavaScript give back. NaN and infinity are
    null. Without `indent`, all is on one line and without blanks.
    """
    import msgspec

    try:
        encoded = msgspec.json.encode(data)
    except UnicodeEncodeError:
        import json

        plain = _finite(msgspec.to_builtins(data))
        text = json.dumps(plain, indent=indent, separators=(",", ": " if indent else ":"))
    else:
        text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
        # Of ASCII, JSON itself spells out what shows nothing, DEL aside; some documents have a hundred thousand names.
        if encoded.isascii() and b"\x7f" not in encoded and b"##" not in encoded:
            return text
    return text if _is_clean(text.replace("\n", "")) else JSON_SUSPECT.sub(_spelled_for_json, text)


def _is_clean(text: str) -> bool:
    return text.isprintable() and "##" not in text and not any(blank in text for blank in BLANK)


def _spelled(match: re.Match[str]) -> str:
    text = match[0]
    if len(text) > 1:
        return "#\\x23"
    if _is_clean(text):
        return text
    code = ord(text)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _spelled_for_json(match: re.Match[str]) -> str:
    text = match[0]
    if len(text) > 1:
        return "#\\u0023"
    if _is_clean(text):
        return text
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _finite(value: object) -> object:
    """The value with null for NaN and infinity, as msgspec writes them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value
