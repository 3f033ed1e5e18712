"""What every rule looks at, and how many names are said as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod

import msgspec

from weightscope.analyses.accounting import Parameters
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.reader import Checkpoint
from weightscope.config import Config
from weightscope.families.registry import Declaration
from weightscope.ranges import columns, fill, template_of


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One opened model, all of its parts side by side."""

    checkpoint: Checkpoint
    config: Config | None
    declaration: Declaration | None
    inventory: Inventory
    tying: Tying
    parameters: Parameters

    @property
    def has_shapes(self) -> bool:
        """Whether there are files, and not only names or a config."""
        return bool(self.checkpoint.files)

    @property
    def directory(self) -> Folder | None:
        """Where config and tokenizer lie, if MODEL is a directory; one file alone promises no neighbours."""
        return self.checkpoint.folder if self.checkpoint.whole else None

    @property
    def has_names(self) -> bool:
        """Whether there are files or an index."""
        return self.checkpoint.format != "config"

    @property
    def complete(self) -> bool:
        """Whether no shard is missing or unreadable: only then does an absent tensor mean anything."""
        return self.checkpoint.complete


def summed(names: Iterable[str]) -> list[str]:
    """Names as templates with ranges; a title stands for exactly the names that fit it."""
    found: dict[str, list[tuple[int, ...]]] = {}
    for name in names:
        template, numbers = template_of(name)
        found.setdefault(template, []).append(numbers)
    return [title for template, numbers in found.items() for title in _titles(template, numbers)]


def _titles(template: str, numbers: list[tuple[int, ...]]) -> Iterator[str]:
    """One title where the numbers are every combination of their columns, else one for each first number."""
    ranges = columns(numbers)
    if len(set(numbers)) == prod(map(len, ranges)):
        yield fill(template, ranges)
        return
    for first in sorted(ranges[0]):
        head, tail = template.split("{}", 1)
        rest = [number[1:] for number in numbers if number[0] == first]
        yield from _titles(f"{head}{first}{tail}", rest)


def listed(titles: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more kinds there are."""
    more = len(titles) - most
    return ", ".join(titles[:most]) + (f" and {more:,} more kind{'s' if more > 1 else ''}" if more > 0 else "")


def some(names: Sequence[object], noun: str = "tensor") -> str:
    """1 tensor, 4 tensors."""
    return f"{len(names):,} {noun}{'' if len(names) == 1 else 's'}"
