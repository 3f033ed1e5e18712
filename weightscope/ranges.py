"""Many names that differ in their numbers, as one: `model.layers.{0–31}.mlp.up_proj.weight`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

# A number that is a whole part of a dotted name; `w1` and `conv1d` are words.
SPELLED = re.compile(r"\{(\d+(?:–\d+)?(?:,\d+(?:–\d+)?)*)\}")
NUMBER = re.compile(r"(?:(?<=\.)|^)\d+(?=\.|$)")


def spell(indices: Iterable[int]) -> str:
    """Ascending runs of numbers: 0–2,5,7–9."""
    runs: list[list[int]] = []
    for index in sorted(set(indices)):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def expand(template: str, ranges: Sequence[Iterable[int]]) -> Iterator[str]:
    """Every name that the template stands for, the last number running fastest."""
    first, *rest = template.split("{}")
    heads = [first]
    for indices, piece in zip(ranges, rest, strict=True):
        tails = [f"{index}{piece}" for index in indices]
        heads = [head + tail for head in heads for tail in tails]
    return iter(heads)


def fill(template: str, ranges: Sequence[Iterable[int]]) -> str:
    """The template with each `{}` filled by its numbers, in braces where there are several."""
    first, *rest = template.split("{}")
    pieces = [first]
    for indices, piece in zip(ranges, rest, strict=True):
        text = spell(indices)
        pieces += [text if text.isdecimal() else f"{{{text}}}", piece]
    return "".join(pieces)


def members(title: str) -> Iterator[str]:
    """Every name that a title with ranges stands for."""
    ranges = [_indices(spelled) for spelled in SPELLED.findall(title)]
    return expand(SPELLED.sub("{}", title), ranges)


def _indices(spelled: str) -> list[int]:
    runs = [run.partition("–")[::2] for run in spelled.split(",")]
    return [index for first, last in runs for index in range(int(first), int(last or first) + 1)]


def template_of(name: str) -> tuple[str, tuple[int, ...]]:
    """A name with `{}` for each number, and the numbers."""
    return NUMBER.sub("{}", name), tuple(int(number) for number in NUMBER.findall(name))


def columns(numbers: Iterable[tuple[int, ...]]) -> list[set[int]]:
    """The distinct numbers at each place."""
    return [set(column) for column in zip(*numbers, strict=True)]
