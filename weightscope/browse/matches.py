"""What a search found, one match at a time."""

from __future__ import annotations

from collections.abc import Sequence


class Matches:
    """`current` is the match that is shown; after the last comes the first."""

    def __init__(self, title: str, names: Sequence[str]) -> None:
        self.title = title
        self._names = names
        self._place = 0

    def __len__(self) -> int:
        return len(self._names)

    @property
    def current(self) -> str:
        """Its name."""
        return self._names[self._place]

    def move(self, step: int) -> None:
        """Go on by so many, or back."""
        self._place = (self._place + step) % len(self._names)

    def __str__(self) -> str:
        return f"{self.title}   {self._place + 1:,} of {len(self._names):,}"
