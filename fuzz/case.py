"""One input: the files that it puts into a folder and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol


@dataclass(kw_only=True)
class Case:
    """An input. `faults` are what goes wrong at a server, in an order and form that the target knows."""

    kind: str
    files: dict[str, bytes] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    faults: list[dict[str, object]] = field(default_factory=list)


class FoundError(Exception):
    """What should not have happened, in words; `signature` is the same for the same fault."""

    def __init__(self, signature: str, detail: str = "") -> None:
        super().__init__(signature)
        self.signature = signature
        self.detail = detail


class Target(Protocol):
    """What is fuzzed. `batch` is how many inputs one process takes before another follows it."""

    batch: int

    def prepare(self, scratch: Path) -> tuple[str, ...]:
        """Import what it needs, before limits are set; the folders that may be written to."""
        ...

    def make(self, random: Random) -> Case:
        """An input."""
        ...

    def place(self, case: Case, folder: Path) -> None:
        """Put its files into an empty folder."""
        ...

    def run(self, case: Case, folder: Path) -> None:
        """Do what is to be done with it.

        Raises:
            FoundError: it ended as it should not. So does any other exception.
        """
        ...
