"""Reads all weight files of a directory into one buffer: `python plain_read.py DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

BUFFER = 1 << 20

buffer = memoryview(bytearray(BUFFER))
for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
