"""Many modules at once: one decision for all that are alike, split where some are decided otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import msgspec

from weightscope.ranges import Names, numbers_words, template_of
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


class Seen(msgspec.Struct):
    """Of one layer's modules: what is decided of the first, how many there are, the sum of their numbers."""

    decided: object
    same: bool = True
    count: int = 0
    total: int = 0

    @property
    def even(self) -> bool:
        """Whether all are decided alike and are the first so many: no number comes twice, so their sum tells."""
        return self.same and self.total == self.count * (self.count - 1) // 2


def uneven(decided: Mapping[str, object]) -> frozenset[str]:
    """Templates of names with two numbers or more, of which what is decided differs within some layer.

    Within a layer nothing differs where its second numbers are the first so many, as many as in every other layer.
    """
    layers: dict[str, dict[str, Seen]] = {}
    for name, scheme in decided.items():
        parts = name.split(".")
        places = [place for place, part in enumerate(parts) if part.isdecimal()]
        if len(places) < 2:
            continue
        first, second = places[:2]
        layer, number = parts[first], parts[second]
        parts[first] = parts[second] = "{}"
        seen = layers.setdefault(".".join(parts), {}).setdefault(layer, Seen(scheme))
        seen.same = seen.same and seen.decided is scheme and len(places) == 2
        seen.count += 1
        seen.total += int(number[:9])
    return frozenset(
        template
        for template, by_layer in layers.items()
        if len({seen.count for seen in by_layer.values()}) > 1 or not all(seen.even for seen in by_layer.values())
    )


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
        # No key can be made of names with numbers in words; few models have some.
        self._in_words: list[tuple[Names, Scheme]] = []
        for item in covered:
            if numbers_words(item.template):
                self._in_words.append((Names(item.template, item.ranges), item.scheme))
            else:
                self._covered.setdefault(item.blank, []).append(item)

    def of(self, name: str) -> Scheme | None:
        """None for a weight that is stored as it is."""
        if self._covered:
            blank, numbers = template_of(name)
            for item in self._covered.get(blank, ()):
                if item.holds(numbers):
                    return item.scheme
        return next((scheme for names, scheme in self._in_words if name in names), None)
