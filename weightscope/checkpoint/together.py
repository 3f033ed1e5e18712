"""What the files of a checkpoint hold that only make sense together, and which reader puts them together."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import msgspec

from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.training import Training
from weightscope.findings import Finding

Plain = str | int | float | bool | None


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """The files that were read, the tensors by name, what is wrong, and the state of the run that saved them.

    `arguments` are what the run's command line said, where the files keep it.
    """

    files: list[FileHeader]
    tensors: dict[str, TensorEntry]
    findings: list[Finding] = []
    training: Training | None = None
    arguments: dict[str, Plain] = {}


def reader_of(format_name: str) -> Callable[[Folder, tuple[Path, ...]], Together]:
    """The reader of one of the formats `IN_PARTS`: it takes the folder that was named, and the files."""
    read: Callable[[Folder, tuple[Path, ...]], Together] = import_module(f"weightscope.checkpoint.{format_name}").read
    return read
