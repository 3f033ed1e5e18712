"""Names of modules with `*`, `?` and `[…]`, matched whole as `fnmatch` does, however many there are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import cached_property

import msgspec

from weightscope.config import Config
from weightscope.quantization.common.excluded import check_count
from weightscope.quantization.common.modules import PLACE

MAGIC = re.compile(r"[*?\[]")


class Wildcards(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """`names` are whole, `starts` were followed by a `*`, `ends` came after one, `within` stood between two."""

    names: frozenset[str] = frozenset()
    starts: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()
    within: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config, key: str, entries: Iterable[str]) -> Wildcards:
        """From a list of names and patterns.

        Raises:
            UndeclaredError: too many patterns that are neither a beginning nor an end.
        """
        found: dict[str, list[str]] = {"names": [], "starts": [], "ends": [], "within": [], "patterns": []}
        for entry in dict.fromkeys(entries):
            kind, text = _kind(entry)
            found[kind].append(text)
        check_count(config, key, len(found["within"]) + len(found["patterns"]))
        return cls(
            names=frozenset(found["names"]),
            starts=frozenset(found["starts"]),
            ends=frozenset(found["ends"]),
            within=tuple(found["within"]),
            patterns=tuple(found["patterns"]),
        )

    def holds(self, module: str) -> bool:
        """Whether an entry matches the whole name."""
        if module in self.names:
            return True
        firsts, lasts = self._lengths
        if any(module[:length] in self.starts for length in firsts):
            return True
        if any(module[len(module) - length :] in self.ends for length in lasts if length <= len(module)):
            return True
        return any(part in module for part in self.within) or any(p.match(module) for p in self._compiled)

    def singles_out(self, template: str) -> bool:
        """Whether an entry may tell apart what differs in a template's second number."""
        if template.count("{}") < 2:
            return False
        if any(map(_tells_numbers, self.within)) or any(map(_tells_numbers, self.patterns)):
            return True
        names, starts, ends = self._numbered
        return (
            template in names
            or any(start.count("{}") > 1 and template.startswith(start) for start in starts)
            or any(template.endswith(end) for end in ends)
        )

    @cached_property
    def _lengths(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return tuple(sorted({len(s) for s in self.starts})), tuple(sorted({len(s) for s in self.ends}))

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(translate(pattern)) for pattern in self.patterns)

    @cached_property
    def _numbered(self) -> tuple[frozenset[str], ...]:
        """The entries that have numbers, with these blanked."""
        kinds = (self.names, self.starts, self.ends)
        return tuple(frozenset(b for b in (PLACE.sub("{}", e) for e in kind) if "{}" in b) for kind in kinds)


def _kind(entry: str) -> tuple[str, str]:
    """Where an entry belongs, and what of it is kept there."""
    if entry == "*":
        return "starts", ""
    head, tail = entry.startswith("*"), entry.endswith("*")
    inner = entry[head : len(entry) - tail]
    if MAGIC.search(inner):
        return "patterns", entry
    return ("within" if head and tail else "ends" if head else "starts" if tail else "names"), inner


def _tells_numbers(pattern: str) -> bool:
    """Whether it matches some numbers and not others."""
    return bool(re.search(r"[0-9?\[]", pattern))
