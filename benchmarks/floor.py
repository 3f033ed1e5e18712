"""The least that any reader of a sharded checkpoint does: open every file and decode its header's JSON."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
    with path.open("rb") as file:
        msgspec.json.decode(file.read(int.from_bytes(file.read(8), "little")))
