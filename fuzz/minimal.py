"""A smaller input that ends the same way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from fuzz.case import Case

SECONDS = 20.0


def minimal(case: Case, same: Callable[[Case], bool]) -> Case:
    """Files and faults left out, then bytes of files, as long as `same` holds and time is left."""
    end = time.monotonic() + SECONDS

    def holds(tried: Case) -> bool:
        return time.monotonic() < end and same(tried)

    for name in list(case.files):
        tried = replace(case, files={other: raw for other, raw in case.files.items() if other != name})
        if len(case.files) > 1 and holds(tried):
            case = tried
    for at in reversed(range(len(case.faults))):
        tried = replace(case, faults=case.faults[:at] + case.faults[at + 1 :])
        if holds(tried):
            case = tried
    for name in case.files:
        case = _shorter(case, name, holds)
    return case


def _shorter(case: Case, name: str, holds: Callable[[Case], bool]) -> Case:
    """Pieces of a file left out, large ones first."""
    size = len(case.files[name]) // 2
    while size:
        at = 0
        while at < len(case.files[name]):
            raw = case.files[name]
            tried = replace(case, files={**case.files, name: raw[:at] + raw[at + size :]})
            if holds(tried):
                case = tried
            else:
                at += size
        size //= 2
    return case
