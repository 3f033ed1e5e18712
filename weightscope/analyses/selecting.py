"""Names as a person types them: exact, as a glob, as a template, or as a table shows several with ranges."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import Self

import msgspec

# `{}`, `{3}`, `{0–31}`, `{0-3,7}`: any number, or one of those.
NUMBERS = re.compile(r"\{(\d{0,9}(?:[-–,]\d{1,9})*)\}")
# Stands for a number while the rest is translated; no name is likely to have it, and one that does only matches less.
PLACE = "\ue000"
GLOB = re.compile(r"[*?\[]")


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed. `numbers` are the spans that each number of the name may lie in; an empty one allows any."""

    text: str
    regex: re.Pattern[str]
    numbers: tuple[tuple[tuple[int, int], ...], ...] = ()

    @classmethod
    def of(cls, text: str) -> Self:
        """From an exact name, a glob, or a name with `{}` or `{0–31}` in place of numbers."""
        numbers = tuple(spans(match[1]) for match in NUMBERS.finditer(text))
        pieces = fnmatch.translate(NUMBERS.sub(PLACE, text))
        return cls(text=text, regex=re.compile(pieces.replace(PLACE, r"(0|[1-9]\d*)")), numbers=numbers)

    @property
    def selects(self) -> bool:
        """Whether it can stand for more than one name."""
        return bool(self.numbers) or GLOB.search(self.text) is not None

    def fits(self, name: str) -> bool:
        """Whether a name is one of those meant; a name that holds braces or brackets itself is found as it is."""
        if name == self.text:
            return True
        match = self.regex.match(name)
        return match is not None and all(
            not allowed or any(first <= int(number) <= last for first, last in allowed)
            for number, allowed in zip(match.groups(), self.numbers, strict=True)
        )


def spans(text: str) -> tuple[tuple[int, int], ...]:
    """`0–3,7` as ((0, 3), (7, 7)); both kinds of dash will do."""
    pairs = (part.replace("–", "-").split("-") for part in text.split(",") if part)
    return tuple((int(pair[0]), int(pair[-1])) for pair in pairs if pair[0] and pair[-1])


def better_pattern(text: str, names: Sequence[str]) -> tuple[str, int] | None:
    """A pattern near `text` that does match, and how many names it matches; None if nothing is near."""
    core = text.strip("*") or text
    tried = (f"*{core}*", f"*{core.lower()}*", *(f"*{word}*" for word in _near_words(core, names)))
    for candidate in tried:
        pattern = Pattern.of(candidate)
        if found := sum(map(pattern.fits, names)):
            return candidate, found
    return None


def _near_words(text: str, names: Iterable[str]) -> list[str]:
    """Parts of names that the last word of `text` may have been meant for."""
    from difflib import get_close_matches

    words = {part for name in names for part in name.split(".") if not part.isdecimal()}
    wanted = [part for part in re.split(r"[.*?{}\[\]]+", text) if part and not part.isdecimal()]
    unknown = [part for part in wanted if part not in words]
    return get_close_matches(unknown[-1], sorted(words), n=2) if unknown else []
