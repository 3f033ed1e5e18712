"""The words of a command's help, as tools show them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A command in a sentence, and its parameters by name."""

    summary: str
    options: Mapping[str, str]
