"""What an analysis noticed: one line a fact, with the code under which docs and CI know it."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "info"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing noticed; `tensors` holds names or templates with ranges, `config` the keys to look at."""

    code: str
    severity: Severity
    message: str
    tensors: tuple[str, ...] = ()
    expected: object = None
    actual: object = None
    config: tuple[str, ...] = ()
    hint: str = ""
