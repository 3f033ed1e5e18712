"""Sets of weights that lie in one folder: numbered shards told apart, and what lies beside the set that is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from weightscope.checkpoint.limits import MAX_SHARDS

SHARD = re.compile(
    r"(?P<stem>.+?)[-_](?P<number>[0-9]{1,9})-of-(?P<count>[0-9]{1,9})(?P<variant>\.[\w-]+)?\.(?P<suffix>\w+)"
)

Relation = Literal["stale-index", "same-format", "other-format", "left-index", "adapter"]


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beside the weights that are read; `name` is a file's, which stands for the whole set.

    A `stale-index` names files of which none, or not all, are there, and loaders follow it all the same; a `left-index`
    is one that loaders pass over. `same-format` and `other-format` are complete sets of their own.
    """

    relation: Relation
    name: str


class Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """Shards that are numbered alike, `-00001-of-00004`, those that are there and those that are not."""

    names: tuple[str, ...]
    missing: tuple[str, ...]


def numbered_sets(names: Iterable[str]) -> list[Numbered]:
    """The sets of shards among these names, complete ones first."""
    sets: dict[tuple[str, str, str | None, str], list[re.Match[str]]] = {}
    for match in filter(None, map(SHARD.fullmatch, names)):
        if int(match["count"]) <= MAX_SHARDS:
            sets.setdefault((match["stem"], match["count"], match["variant"], match["suffix"]), []).append(match)
    return sorted(map(_numbered, sets.values()), key=lambda found: len(found.missing) > 0)


def _numbered(matches: list[re.Match[str]]) -> Numbered:
    first, numbers = matches[0], {int(match["number"]) for match in matches}
    count, width = int(first["count"]), len(first["number"])
    start, end = first.span("number")
    expected = range(count) if 0 in numbers else range(1, count + 1)
    missing = tuple(f"{first.string[:start]}{n:0{width}d}{first.string[end:]}" for n in expected if n not in numbers)
    return Numbered(names=tuple(match.string for match in matches), missing=missing)
