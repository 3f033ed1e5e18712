"""One answer for each of several MODELs: what cannot be read keeps nothing else from being shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from weightscope.commands.options import open_quietly, own_files
from weightscope.errors import WeightscopeError, one_line
from weightscope.output.document import Document

if TYPE_CHECKING:
    from weightscope.api.model import Model


class Answers:
    """The documents so far, with what each is about; the files that no output may overwrite; what went wrong."""

    def __init__(self) -> None:
        self.documents: list[tuple[str, Document]] = []
        self.protected: list[Path] = []
        self.failures: list[WeightscopeError] = []

    def raise_failures(self) -> None:
        """Say what could not be done, each on a line of standard error, the last as the error of the command.

        Raises:
            WeightscopeError: something could not be done.
        """
        for failure in self.failures[:-1]:
            note(str(failure))
        if self.failures:
            raise self.failures[-1]


def ask_each(
    models: Sequence[str],
    variant: str | None,
    answer: Callable[[Model], Document],
    afterwards: Callable[[Model], None] | None = None,
    *,
    base: str | None = None,
) -> Answers:
    """Open each MODEL and have it answered; `afterwards` may still raise what the answer shows a part of.

    `base` is the model that adapters among them are held against.
    """
    answers = Answers()
    for path in models:
        try:
            model = open_quietly(path, variant, base)
            answers.documents.append((path, answer(model)))
            answers.protected += own_files(model)
            if afterwards:
                afterwards(model)
        except WeightscopeError as error:
            answers.failures.append(error)
    return answers


def note(text: str) -> None:
    """A line on standard error, where the result never is."""
    typer.echo(f"weightscope: {one_line(text)}", err=True)
