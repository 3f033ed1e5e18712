"""Modules that a config leaves out of quantization, as transformers matches their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

import msgspec

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.modules import PLACE

PATTERN_CHARACTERS = set("*+?[](){}|^$\\")
# A hostile regular expression could run for hours: quantified groups, many open ends and many choices are refused.
QUANTIFIED_GROUP = re.compile(r"\)[*+{]")
# Names have few digits, and these lie apart: a run of them ends soon.
DIGITS = re.compile(r"(?:\\d|\[0-9\])[*+]")
OPEN_END, CHOICE = re.compile(r"[*+]|\{\d*,"), re.compile(r"[|?]")
# What matches names alike that differ in their numbers alone: letters, dots, choices, `.*` for anything, and beside a
# letter any character, because numbers stand between dots.
NUMBERLESS = re.compile(r"(?:\.\*|\.(?=[A-Za-z_])|(?<=[A-Za-z_])\.(?![*+?{])|\\[._-]|[A-Za-z_()|^$-]|\?[:!=])*")
MOST_OPEN_ENDS, MOST_CHOICES = 3, 8
# Names are looked up; patterns are tried one after the other on every module.
MOST_PATTERNS = 256
# transformers' `should_convert_module`: a match must end where a part of the dotted name does.
BOUNDARY = r"(?:(?<=\.)|(?=\.|$))"


class Excluded(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """`names` stand for a module and all below it, `suffixes` for a name's end, `patterns` match from its start."""

    names: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config, key: str, entries: object) -> Excluded:
        """From a list of names and regular expressions.

        Raises:
            ConfigError: no list of names, or an expression that is none.
            UndeclaredError: an expression that could take too long.
        """
        entries = entries or ()
        if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) and entry for entry in entries):
            raise config.error(f"{key} is not a list of module names")
        # A dot stands for any character, which matters only at the end: elsewhere it meets the dots of names.
        patterns = tuple(dict.fromkeys(e for e in entries if PATTERN_CHARACTERS & set(e) or e.endswith(".")))
        for pattern in patterns:
            check_pattern(config, key, pattern)
        plain = frozenset(entries) - frozenset(patterns)
        return cls(names=plain, suffixes=frozenset(entries), patterns=patterns)

    def holds(self, module: str) -> bool:
        """Whether a module of that full name is left out."""
        if not self.suffixes:
            return False
        # A config may name tens of thousands of modules, in few lengths.
        if any(module[-length:] in self.suffixes for length in self._lengths):
            return True
        return any(name in self.names for name in _above(module)) or any(p.match(module) for p in self._compiled)

    def holds_part(self, module: str) -> bool:
        """Whether an entry is any run of the parts of a module's name, as older loaders matched them."""
        parts = module.split(".")
        return any(
            ".".join(parts[start : start + length]) in self.suffixes
            for length in self._parts
            for start in range(len(parts) - length + 1)
        )

    def singles_out(self, template: str) -> bool:
        """Whether an entry may tell apart what differs in a template's second number."""
        if template.count("{}") < 2 or not self.suffixes:
            return False
        return any(map(tells_numbers_apart, self.patterns)) or any(
            template.endswith(entry) or (entry.count("{}") > 1 and template.startswith(entry))
            for entry in self._numbered
        )

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(f"(?:{pattern}){BOUNDARY}") for pattern in self.patterns)

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(sorted({len(suffix) for suffix in self.suffixes}))

    @cached_property
    def _parts(self) -> tuple[int, ...]:
        """How many parts the entries have."""
        return tuple(sorted({suffix.count(".") + 1 for suffix in self.suffixes}))

    @cached_property
    def _numbered(self) -> frozenset[str]:
        """The entries that have numbers, with these blanked."""
        return frozenset(blank for blank in (PLACE.sub("{}", name) for name in self.names) if "{}" in blank)


def tells_numbers_apart(pattern: str) -> bool:
    """Whether a pattern may match one of two names that differ in their numbers alone, and not the other."""
    return NUMBERLESS.fullmatch(pattern) is None


def check_count(config: Config, key: str, patterns: int) -> None:
    """Refuse more patterns than can be tried on every module.

    Raises:
        UndeclaredError: too many.
    """
    if patterns > MOST_PATTERNS:
        raise UndeclaredError(f"{key} with over {MOST_PATTERNS} patterns is not implemented", where=config.source)


def check_pattern(config: Config, key: str, pattern: str) -> None:
    """Refuse a regular expression that could take too long, or that is none.

    Raises:
        ConfigError: it is none.
        UndeclaredError: it could take too long.
    """
    ways = len(OPEN_END.findall(DIGITS.sub("0", pattern))), len(CHOICE.findall(pattern))
    if QUANTIFIED_GROUP.search(pattern) or ways[0] > MOST_OPEN_ENDS or ways[1] > MOST_CHOICES:
        raise UndeclaredError(f"the pattern {pattern!r:.80} in {key} is not implemented", where=config.source)
    try:
        re.compile(pattern)
    except re.error as error:
        raise config.error(f"{key} has {pattern!r:.80}, which is not a regular expression ({error})") from None


def _above(module: str) -> Iterable[str]:
    """The name and those of all modules around it."""
    yield module
    place = module.find(".")
    while place >= 0:
        yield module[:place]
        place = module.find(".", place + 1)
