"""The JSON that CI systems read: text that every decoder takes, and the project's address."""

from __future__ import annotations

from typing import Any

from weightscope.escapes import json_text

PROJECT = "https://pypi.org/project/weightscope-cli/"


def ci_json(data: object) -> str:
    r"""The data as JSON, with lone surrogates spelled out as text: many decoders refuse them even as escapes."""
    return json_text(_encodable(data)) + "\n"


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
