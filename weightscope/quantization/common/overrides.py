"""Settings of single modules, under their names or under regular expressions, as GPTQModel and AutoRound match them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from weightscope.config import Config
from weightscope.quantization.common.excluded import PATTERN_CHARACTERS, check_count, check_pattern
from weightscope.quantization.common.modules import PLACE

T = TypeVar("T")
ESCAPED = re.compile(r"\\([^a-zA-Z0-9])")


class Overrides(msgspec.Struct, Generic[T], frozen=True, kw_only=True, dict=True):
    """Of the entries that fit a module the first counts. `named` have one name each, `patterns` match many.

    Both keep each entry's place. `anywhere` is whether a pattern may match within a name, not only from its start.
    """

    named: dict[str, tuple[int, T]] = {}
    patterns: tuple[tuple[int, str, T], ...] = ()
    anywhere: bool = False

    @classmethod
    def of(cls, config: Config, key: str, entries: dict[str, T], *, anywhere: bool = False) -> Overrides[T]:
        """From names and regular expressions; `^…$` around a plain name means that name.

        Raises:
            ConfigError: an expression that is none.
            UndeclaredError: one that could take too long, or too many.
        """
        named: dict[str, tuple[int, T]] = {}
        patterns = []
        for place, (pattern, own) in enumerate(entries.items()):
            name = _name(pattern, whole=anywhere)
            if name is not None:
                named.setdefault(name, (place, own))
                continue
            check_pattern(config, key, pattern)
            patterns.append((place, pattern, own))
        check_count(config, key, len(patterns))
        return cls(named=named, patterns=tuple(patterns), anywhere=anywhere)

    def find(self, module: str) -> tuple[T] | None:
        """What the first entry says of the module, None where no entry fits."""
        found = self.named.get(module)
        # AutoRound's names count before its patterns; GPTQModel's are in one order.
        if found is not None and self.anywhere:
            return (found[1],)
        for place, pattern, own in self._compiled:
            if found is not None and found[0] < place:
                break
            if (pattern.search if self.anywhere else pattern.match)(module):
                return (own,)
        return None if found is None else (found[1],)

    def singles_out(self, template: str) -> bool:
        """Whether an entry may tell apart what differs in a template's second number."""
        return template.count("{}") > 1 and (bool(self.patterns) or template in self._blank)

    @cached_property
    def _compiled(self) -> tuple[tuple[int, re.Pattern[str], T], ...]:
        return tuple((place, re.compile(pattern), own) for place, pattern, own in self.patterns)

    @cached_property
    def _blank(self) -> frozenset[str]:
        return frozenset(PLACE.sub("{}", name) for name in self.named)


def dynamic(config: Config, settings: dict[str, Any], read: Callable[[dict[str, Any]], T]) -> Overrides[T | None]:
    """GPTQModel's `dynamic`: `-:` leaves out what matches (None), `+:` or nothing gives it settings of its own.

    `read` makes something of a module's settings, its own over those of all.

    Raises:
        ConfigError: it is no object of objects.
        UndeclaredError: patterns that could take too long, or too many.
    """
    entries = settings.get("dynamic") or {}
    if not isinstance(entries, dict):
        raise config.error(f"dynamic is {entries!r:.60}, not an object")
    found: dict[str, T | None] = {}
    for key, own in entries.items():
        plain = key.startswith("-:")
        if not isinstance(own, dict) and not plain:
            raise config.error(f"dynamic has {own!r:.60} for {key!r:.60}, not an object")
        found.setdefault(key[2:] if key.startswith(("-:", "+:")) else key, None if plain else read({**settings, **own}))
    return Overrides.of(config, "dynamic", found)


def _name(pattern: str, *, whole: bool) -> str | None:
    """The one name that a pattern matches, None where it may match others; `whole` takes a plain name for itself."""
    if pattern.startswith("^") and pattern.endswith("$"):
        bare = ESCAPED.sub("", pattern[1:-1])
        # An unescaped dot matches any character, but in names it only ever meets a dot.
        plain = not (PATTERN_CHARACTERS & set(bare))
        return ESCAPED.sub(r"\1", pattern[1:-1]) if plain else None
    return pattern if whole and not (PATTERN_CHARACTERS & set(pattern)) else None
