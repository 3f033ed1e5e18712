"""Which modules an adapter's settings mean, matched as PEFT matches them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.excluded import MOST_PATTERNS, check_pattern

# A text without these is a name, or the end of one.
SPECIAL = re.compile(r"[^\w.-]")
ALL_LINEAR = "all-linear"
# Longer names are no module's, and a pattern could take long on them.
LONGEST = 500


class Patterns(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Values of modules: each entry is a name, the end of one, or a regular expression for the end of one.

    The first entry that fits counts. `unread` is an expression that is not matched here, because it could take too
    long; empty where there is none.
    """

    entries: tuple[tuple[str, float], ...] = ()
    unread: str = ""

    @classmethod
    def of(cls, config: Config, key: str, entries: Sequence[tuple[str, float]]) -> Patterns:
        """From the pairs of a config.

        Raises:
            ConfigError: an expression that is none.
        """
        expressions = [pattern for pattern, _ in entries if SPECIAL.search(pattern)]
        return cls(entries=tuple(entries), unread=unmatched(config, key, expressions))

    def value_of(self, module: str) -> float | None:
        """A module's value; None where no entry fits."""
        if not self.entries:
            return None
        ends = (self._names[end] for end in _ends(module) if end in self._names)
        places = [place for place, expression in self._expressions if fits(expression, module)]
        place = min([*ends, *places], default=None)
        return None if place is None else self.entries[place][1]

    @cached_property
    def _names(self) -> dict[str, int]:
        names = {name: place for place, (name, _) in reversed([*enumerate(self.entries)])}
        return {name: place for name, place in names.items() if not SPECIAL.search(name)}

    @cached_property
    def _expressions(self) -> list[tuple[int, re.Pattern[str]]]:
        if self.unread:
            return []
        return [
            (place, re.compile(rf"(?:.*\.)?(?:{pattern})"))
            for place, (pattern, _) in enumerate(self.entries)
            if SPECIAL.search(pattern)
        ]


class Targets(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The modules beside which an adapter stands: those that `names` end, or a `pattern` matches whole.

    `excluded` and `excluded_pattern` leave modules out; `layers` are the only ones meant, where there are any,
    counted in the list of that name in `stacks`. `unread` is an expression that is not matched here.
    """

    names: tuple[str, ...] = ()
    pattern: str = ""
    excluded: tuple[str, ...] = ()
    excluded_pattern: str = ""
    layers: tuple[int, ...] = ()
    stacks: tuple[str, ...] = ()
    unread: str = ""

    @property
    def told(self) -> bool:
        """Whether the settings name targets in a way that is matched here."""
        return bool(self.names or self.pattern) and not self.unread

    @property
    def leaves_out(self) -> bool:
        """Whether some modules of these names may be left out."""
        return bool(self.excluded or self.excluded_pattern)

    def holds(self, module: str) -> bool:
        """Whether a module of that full name is meant."""
        if self._is_excluded(module):
            return False
        if self.pattern:
            return fits(self._compiled, module)
        return any(end in self._ends for end in _ends(module)) and self._in_layers(module)

    def idle(self, modules: Iterable[str]) -> list[str]:
        """Those of the names that none of the modules has, whether it is left out or not."""
        left = dict.fromkeys(self.names)
        for module in modules:
            for end in _ends(module) if left else ():
                left.pop(end, None)
        return list(left)

    def _is_excluded(self, module: str) -> bool:
        if self.excluded_pattern:
            return fits(re.compile(self.excluded_pattern), module)
        return any(end in self.excluded for end in _ends(module))

    def _in_layers(self, module: str) -> bool:
        if not self.layers:
            return True
        parts = module.split(".")
        for place in range(2 if not self.stacks else 1, len(parts) - 1):
            if parts[place].isdecimal() and (not self.stacks or parts[place - 1] in self.stacks):
                return int(parts[place][:9]) in self.layers
        return False

    @cached_property
    def _ends(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)


def unmatched(config: Config, key: str, expressions: Sequence[str]) -> str:
    """The first of the expressions that could take too long to match; empty where all can be.

    Raises:
        ConfigError: one that is none.
    """
    if len(expressions) > MOST_PATTERNS:
        return f"one of {len(expressions):,} patterns"
    for expression in expressions:
        try:
            check_pattern(config, key, expression)
        except UndeclaredError:
            return expression
    return ""


def fits(expression: re.Pattern[str], module: str) -> bool:
    """Whether an expression matches the whole name."""
    return len(module) <= LONGEST and expression.fullmatch(module) is not None


def _ends(module: str) -> list[str]:
    """The name, and what is left of it without its first parts."""
    parts = module.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]
