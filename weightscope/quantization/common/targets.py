"""Modules as compressed-tensors' configs list them: by name, by `re:` and a pattern, or by the name of their class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import msgspec

from weightscope.config import Config
from weightscope.quantization.common.excluded import check_count, check_pattern, tells_numbers_apart
from weightscope.quantization.common.modules import PLACE

PATTERN = "re:"
# A config that lies in `text_config` has the language model's own names.
WRAPPERS = ("language_model.", "model.language_model.")


class Targets(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Entries in the order in which the library asks them: whole names, then patterns, then classes; each has the
    number of the list that it came from.
    """

    names: dict[str, int] = {}
    patterns: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, config: Config, key: str, lists: Sequence[object]) -> Targets:
        """From lists of names, patterns and classes; what a later list repeats is its own.

        Raises:
            ConfigError: no list of names, or a pattern that is none.
            UndeclaredError: one that could take too long, or too many.
        """
        found: dict[str, int] = {}
        for number, listed in enumerate(lists):
            entries = listed or ()
            if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) for entry in entries):
                raise config.error(f"{key} is not a list of module names, patterns and classes")
            found |= dict.fromkeys(entries, number)
        patterns = sorted((entry.removeprefix(PATTERN), n) for entry, n in found.items() if entry.startswith(PATTERN))
        check_count(config, key, len(patterns))
        for pattern, _ in patterns:
            check_pattern(config, key, pattern)
        names = {entry: number for entry, number in found.items() if not entry.startswith(PATTERN)}
        return cls(names=names, patterns=tuple(patterns))

    def find(self, module: str, class_name: str) -> int | None:
        """The list that targets a module of that class; None where none does."""
        number = self.names.get(module)
        if number is None and module.startswith(WRAPPERS):
            number = self.names.get(module.partition("language_model.")[2])
        if number is not None:
            return number
        for pattern, place in self._compiled:
            if pattern.match(module):
                return place
        return self.names.get(class_name)

    def singles_out(self, template: str) -> bool:
        """Whether an entry may tell apart what differs in a template's second number."""
        if template.count("{}") < 2:
            return False
        return self._patterns_tell or template in self._numbered

    @cached_property
    def _compiled(self) -> tuple[tuple[re.Pattern[str], int], ...]:
        return tuple((re.compile(pattern), number) for pattern, number in self.patterns)

    @cached_property
    def _patterns_tell(self) -> bool:
        return any(tells_numbers_apart(pattern) for pattern, _ in self.patterns)

    @cached_property
    def _numbered(self) -> frozenset[str]:
        """The names with their numbers blanked."""
        return frozenset(PLACE.sub("{}", name) for name in self.names)
