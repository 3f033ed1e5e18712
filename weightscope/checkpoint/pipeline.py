"""Diffusers' pipelines: several models, each in a folder of its own, that `model_index.json` names with their classes.

Source: `DiffusionPipeline.save_pretrained` of diffusers (0.35).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from weightscope.checkpoint.claims import is_path
from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.header import read_header
from weightscope.checkpoint.together import Together
from weightscope.errors import CheckpointError

INDEX = "model_index.json"
MAX_INDEX = 1_000_000
MAX_PARTS = 64


class Part(msgspec.Struct, frozen=True):
    """One model of a pipeline: its folder's name, and its class."""

    name: str
    kind: str


def read_index(folder: Folder) -> list[Part]:
    """The parts that the index names with a class.

    Raises:
        CheckpointError: `malformed-index`; it is no object, or names too many parts.
    """
    path = folder.fetch(INDEX)
    try:
        said = msgspec.json.decode(
            path.read_bytes() if path.stat().st_size <= MAX_INDEX else b"", type=dict[str, object]
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(path, f"not a JSON object of at most {MAX_INDEX:,} bytes ({error})") from None
    parts = [Part(name, kind) for name, value in said.items() if (kind := _class(value)) and is_path(name)]
    if len(parts) > MAX_PARTS:
        raise _malformed(path, f"names {len(parts):,} parts; the limit is {MAX_PARTS}")
    return parts


def _class(value: object) -> str:
    """The class in `["diffusers", "UNet2DConditionModel"]`; empty for a part that is left out: [null, null]."""
    named = isinstance(value, list) and len(value) == 2 and all(isinstance(word, str) for word in value)
    return value[1] if named and isinstance(value, list) else ""


def part_of(folder: Path, path: Path) -> str:
    """The folder's name that a file's tensors have before their own."""
    return path.relative_to(folder).parts[0]


def read(folder: Folder, paths: tuple[Path, ...]) -> Together:
    """The tensors of all parts, each below its part's name."""
    files: list[FileHeader] = []
    tensors: dict[str, TensorEntry] = {}
    for number, path in enumerate(paths):
        header = read_header(path, number)
        part = part_of(folder.path, path)
        renamed = {f"{part}.{name}": entry for name, entry in header.tensors.items()}
        files.append(msgspec.structs.replace(header, tensors=renamed))
        tensors |= renamed
    return Together(files=files, tensors=tensors)


def _malformed(path: Path, what: str) -> CheckpointError:
    return CheckpointError(what, where=path, hint="download the file again", code="malformed-index")
