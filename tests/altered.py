"""Other values of some tensors of a file, for the time of a test's question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from tests.helpers import read_safetensors


@contextmanager
def altered(directory: Path, tensors: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """A folder's `model.safetensors` with these values in place of its own; an opened model reads them, too."""
    path = directory / "model.safetensors"
    header = read_safetensors(path)
    places = [(name, *header.tensors[name].data_offsets) for name in tensors]
    with path.open("r+b") as file:
        kept = []
        for name, start, stop in places:
            data = tensors[name].contiguous().flatten().view(torch.uint8).numpy().tobytes()
            assert len(data) == stop - start
            file.seek(header.data_start + start)
            kept.append((header.data_start + start, file.read(stop - start)))
            file.seek(header.data_start + start)
            file.write(data)
        file.flush()
        yield
        for begin, before in kept:
            file.seek(begin)
            file.write(before)
