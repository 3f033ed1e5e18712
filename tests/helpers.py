"""Files written by hand from the formats' own words, for tests that need what no library would write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from weightscope.checkpoint.entry import FileHeader
from weightscope.checkpoint.safetensors import safetensors_header
from weightscope.checkpoint.slices import LocalFile

F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
FOUR_BYTES = b"\x00\x00\x80\x3f"


def safetensors_bytes(header: dict[str, Any] | str | bytes, data: bytes = b"") -> bytes:
    """Eight bytes of length, the header, the data."""
    if isinstance(header, dict):
        header = json.dumps(header)
    raw = header.encode() if isinstance(header, str) else header
    return len(raw).to_bytes(8, "little") + raw + data


def read_safetensors(path: Path) -> FileHeader:
    """The header of one file."""
    with LocalFile(path) as data:
        return safetensors_header(data, path)


def write_safetensors(path: Path, *names: str) -> Path:
    """A file with a float32 1.0 under each name."""
    header = {name: F32 | {"data_offsets": [4 * i, 4 * i + 4]} for i, name in enumerate(names)}
    path.write_bytes(safetensors_bytes(header, FOUR_BYTES * len(names)))
    return path


def write_index(path: Path, weight_map: dict[str, Any], **fields: Any) -> Path:
    """A `*.index.json` with a total size, unless `fields` say otherwise."""
    path.write_text(json.dumps({"metadata": {"total_size": 8}, "weight_map": weight_map} | fields))
    return path
