"""Many modules at once: one decision for all that are alike, split where some are decided otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property

import msgspec

from weightscope.ranges import template_of
from weightscope.storage.base import Scheme

Ranges = tuple[Sequence[int], ...]
Piece = tuple[Scheme | None, Ranges]
PLACE = re.compile(r"(?:(?<=\.)|^)(\d+|\{\})(?=\.|$)")


def split(
    template: str, ranges: Ranges, decide: Callable[[str], Scheme | None], *, deep: bool = True
) -> tuple[Piece, ...]:
    """The modules of a template, apart by what `decide` says of each; a template's `{}` are filled from `ranges`.

    Unless `deep`, modules that differ only beyond the first number are taken to be decided alike.
    """
    if not ranges:
        return ((decide(template), ()),)
    if not deep:
        first = tuple(indices[:1] for indices in ranges[1:])
        pieces = split(template, (ranges[0], *first), decide)
        return tuple((scheme, (found[0], *ranges[1:])) for scheme, found in pieces)
    head, tail = template.split("{}", 1)
    alike: dict[tuple[Piece, ...], list[int]] = {}
    for index in ranges[0]:
        alike.setdefault(split(f"{head}{index}{tail}", ranges[1:], decide), []).append(index)
    if len(alike) == 1:
        ((inner, _),) = alike.items()
        return tuple((scheme, (ranges[0], *rest)) for scheme, rest in inner)
    return tuple((scheme, (tuple(found), *rest)) for inner, found in alike.items() for scheme, rest in inner)


class Covered(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The weights that one scheme covers: their names before quantization, as a template with its ranges."""

    template: str
    ranges: Ranges
    scheme: Scheme

    @cached_property
    def blank(self) -> str:
        """The template with its own numbers blanked as well."""
        return PLACE.sub("{}", self.template)

    @cached_property
    def _places(self) -> list[str]:
        return PLACE.findall(self.template)

    def holds(self, numbers: Sequence[int]) -> bool:
        """Whether a name with `blank`'s words and these numbers is one of them."""
        ranges = iter(self.ranges)
        return all(
            number in next(ranges) if place == "{}" else number == int(place)
            for place, number in zip(self._places, numbers, strict=True)
        )


class Schemes:
    """The scheme of each weight by its name before quantization."""

    def __init__(self, covered: Sequence[Covered]) -> None:
        self._covered: dict[str, list[Covered]] = {}
        for item in covered:
            self._covered.setdefault(item.blank, []).append(item)

    def of(self, name: str) -> Scheme | None:
        """None for a weight that is stored as it is."""
        if not self._covered:
            return None
        blank, numbers = template_of(name)
        return next((item.scheme for item in self._covered.get(blank, ()) if item.holds(numbers)), None)
