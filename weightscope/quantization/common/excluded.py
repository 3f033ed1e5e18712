"""Modules that a config leaves out of quantization, as transformers matches their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

import msgspec

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.ranges import NUMBER

PATTERN_CHARACTERS = set("*+?[](){}|^$\\")
# A regular expression from a config could run for hours: quantified groups, and many open ends, are refused.
QUANTIFIED_GROUP = re.compile(r"\)[*+?{]")
MOST_OPEN_ENDS = 3
# transformers' `should_convert_module`: a match must end where a part of the dotted name does.
BOUNDARY = r"(?:(?<=\.)|(?=\.|$))"


class Excluded(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """`names` stand for a module and all below it, `suffixes` for a name's end, `patterns` match from its start."""

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
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
            _check(config, key, pattern)
        plain = frozenset(entries) - frozenset(patterns)
        return cls(names=plain, suffixes=tuple(dict.fromkeys(entries)), patterns=patterns)

    def holds(self, module: str) -> bool:
        """Whether a module of that full name is left out."""
        if not self.suffixes:
            return False
        if module.endswith(self.suffixes):
            return True
        return any(name in self.names for name in _above(module)) or any(
            re.match(f"(?:{pattern}){BOUNDARY}", module) for pattern in self.patterns
        )

    def singles_out(self, template: str) -> bool:
        """Whether an entry may tell apart what differs in a template's second number."""
        if template.count("{}") < 2 or not self.suffixes:
            return False
        return bool(self.patterns) or any(
            template.endswith(entry) or (entry.count("{}") > 1 and template.startswith(entry))
            for entry in self._numbered
        )

    @cached_property
    def _numbered(self) -> frozenset[str]:
        """The entries that have numbers, with these blanked."""
        return frozenset(blank for blank in (NUMBER.sub("{}", name) for name in self.names) if "{}" in blank)


def _check(config: Config, key: str, pattern: str) -> None:
    open_ends = len(re.findall(r"[*+]|\{\d*,", pattern))
    if QUANTIFIED_GROUP.search(pattern) or open_ends > MOST_OPEN_ENDS:
        raise UndeclaredError(f"the pattern {pattern!r:.80} in {key} is not implemented", where=config.source)
    try:
        re.compile(pattern)
    except re.error as error:
        raise config.error(f"{key} has {pattern!r:.80}, which is no regular expression ({error})") from None


def _above(module: str) -> Iterable[str]:
    """The name and those of all modules around it."""
    yield module
    place = module.find(".")
    while place >= 0:
        yield module[:place]
        place = module.find(".", place + 1)
