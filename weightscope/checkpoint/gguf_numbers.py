"""Weights that a GGUF file keeps in its metadata: a number for each layer, in an array (Apertus' activations)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.gguf_metadata import Skipped

KEYS = ("xielu.alpha_n", "xielu.alpha_p", "xielu.beta", "xielu.eps")
# The format's number of float32.
FLOAT32 = 6


def number_entries(arrays: Mapping[str, Skipped], start: int, file: int) -> Iterator[tuple[str, TensorEntry]]:
    """Each such array as a tensor, by its key. It lies before the data at byte `start`, so its offsets are negative."""
    for key in KEYS:
        array = arrays.get(key)
        if array is not None and array.type == FLOAT32:
            yield key, TensorEntry("F32", (array.count,), (array.start - start, array.stop - start), None, file)
