"""A small JSON file of settings beside a model, read within bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from weightscope.errors import CheckpointError

MAX_SETTINGS = 1_000_000


def read_object(path: Path, kind: type = dict) -> Any:
    """The JSON of a file of settings; an empty object, or list, where it is something else.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SETTINGS + 1)
        if len(raw) > MAX_SETTINGS:
            raise ValueError(f"it is larger than {MAX_SETTINGS:,} bytes")
        data = msgspec.json.decode(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=path, code="config-invalid") from None
    return data if isinstance(data, kind) else kind()
