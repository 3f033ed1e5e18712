"""Many names that differ in their numbers, as one: `model.layers.{0–31}.mlp.up_proj.weight`.

A template is a name as `str.format` takes it: `{}` stands for a number, and braces of the name itself are doubled.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import Self, overload

# A number that is a whole part of a dotted name; `w1` and `conv1d` are words. So is what would be spelled differently
# when it is written again (`007`), and what no layer's number is: one of more digits than these.
NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
# Names of real models have up to three numbers; further ones are words, so that a name of nothing else stays cheap.
MAX_NUMBERS = 16
# The first and the last of consecutive numbers.
Run = tuple[int, int]


class Title(str):
    """Several names spelled as one; it remembers them, so that nobody has to read the text again."""

    __slots__ = ("names",)
    names: Collection[str]

    def __new__(cls, text: str, names: Collection[str]) -> Self:
        """`text` is what is shown of `names`."""
        title = super().__new__(cls, text)
        title.names = names
        return title


class Names(Sequence[str]):
    """Every name that a template stands for, made when it is asked for: a large model has 90,000."""

    __slots__ = ("_ranges", "_template")

    def __init__(self, template: str, ranges: Sequence[Sequence[int]]) -> None:
        self._template = template
        self._ranges = ranges

    def __len__(self) -> int:
        return prod(map(len, self._ranges))

    def __iter__(self) -> Iterator[str]:
        return expand(self._template, self._ranges)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return tuple(self)[place]

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        numbers = numbers_in(self._template, name)
        return numbers is not None and all(map(operator.contains, self._ranges, numbers))


def names_of(title: str) -> Collection[str]:
    """Every name that a title stands for; other text is one name."""
    return title.names if isinstance(title, Title) else (title,)


def runs(indices: Iterable[int]) -> tuple[Run, ...]:
    """Ascending runs of numbers, each as its first and its last."""
    found: list[list[int]] = []
    for index in sorted(set(indices)):
        if found and index == found[-1][1] + 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return tuple((first, last) for first, last in found)


def spell(indices: Iterable[int]) -> str:
    """The runs as text: 0–2,5,7–9."""
    return ",".join(str(first) if first == last else f"{first}–{last}" for first, last in runs(indices))


def expand(template: str, ranges: Sequence[Iterable[int]]) -> Iterator[str]:
    """Every name that the template stands for, the last number running fastest."""
    first, *rest = _pieces(template)
    heads = [first]
    for indices, piece in zip(ranges, rest, strict=True):
        tails = [f"{index}{piece}" for index in indices]
        heads = [head + tail for head in heads for tail in tails]
    return iter(heads)


def fill(template: str, ranges: Sequence[Iterable[int]]) -> str:
    """The template with each `{}` filled by its numbers, in braces where there are several."""
    first, *rest = _pieces(template)
    pieces = [first]
    for indices, piece in zip(ranges, rest, strict=True):
        text = spell(indices)
        pieces += [text if text.isdecimal() else f"{{{text}}}", piece]
    return "".join(pieces)


def holes(template: str) -> int:
    """How many numbers the template leaves open."""
    return len(_pieces(template)) - 1


def numbers_words(template: str) -> bool:
    """Whether a number that it leaves open ends a word, as in `expert_{}`: `template_of` takes such a word as it is."""
    return holes(template) != template.split(".").count("{}")


def before(template: str) -> str:
    """The text before the first number."""
    return _pieces(template)[0]


def literal(text: str) -> str:
    """Text as a template that stands for it alone."""
    return text.replace("{", "{{").replace("}", "}}")


def blank(template: str) -> str:
    """The template with the numbers left open that it states itself."""
    return ".".join("{}" if NUMBER.fullmatch(part) else part for part in template.split("."))


def _pieces(template: str) -> list[str]:
    """The text before, between and after the numbers."""
    if "{{" not in template and "}}" not in template:
        return template.split("{}")
    # Hardly any name has a brace.
    from string import Formatter

    pieces = [""]
    for text, field, _, _ in Formatter().parse(template):
        pieces[-1] += text
        if field is not None:
            pieces.append("")
    return pieces


def template_of(name: str) -> tuple[str, tuple[int, ...]]:
    """A name with `{}` for each number, and the numbers."""
    parts = (literal(name) if "{" in name or "}" in name else name).split(".")
    # A loop over the parts takes half as long as a pattern does, and a checkpoint has 100,000 names.
    places = [place for place, part in enumerate(parts) if part.isdigit() and NUMBER.fullmatch(part)][:MAX_NUMBERS]
    numbers = tuple([int(parts[place]) for place in places])
    for place in places:
        parts[place] = "{}"
    return ".".join(parts), numbers


def numbers_in(template: str, name: str) -> tuple[int, ...] | None:
    """The numbers that a name has where the template leaves them open; None for a name that does not fit."""
    match = _pattern(template).fullmatch(name)
    return tuple(map(int, match.groups())) if match else None


@lru_cache(maxsize=1024)
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(f"({NUMBER.pattern})".join(map(re.escape, _pieces(template))))


def number_of(text: str) -> int | None:
    """The number that a part of a dotted name is; None for a word."""
    return int(text) if NUMBER.fullmatch(text) else None


def columns(numbers: Iterable[tuple[int, ...]]) -> list[set[int]]:
    """The distinct numbers at each place."""
    return [set(column) for column in zip(*numbers, strict=True)]


def summed(names: Iterable[str]) -> list[str]:
    """Names as templates with ranges; a title stands for exactly the names that fit it."""
    found: dict[str, list[tuple[tuple[int, ...], str]]] = {}
    for name in names:
        template, numbers = template_of(name)
        found.setdefault(template, []).append((numbers, name))
    return [title for template, members in found.items() for title in _titles(template, members)]


def _titles(template: str, members: list[tuple[tuple[int, ...], str]], done: tuple[int, ...] = ()) -> Iterator[str]:
    """One title where the numbers are every combination of their columns, else one for each first number."""
    numbers = [number[len(done) :] for number, _ in members]
    ranges = columns(numbers)
    if len(set(numbers)) == prod(map(len, ranges)):
        text = fill(template, [*((number,) for number in done), *ranges])
        yield Title(text, tuple(name for _, name in members))
        return
    apart: dict[int, list[tuple[tuple[int, ...], str]]] = {}
    for member in members:
        apart.setdefault(member[0][len(done)], []).append(member)
    for first in sorted(apart):
        yield from _titles(template, apart[first], (*done, first))
