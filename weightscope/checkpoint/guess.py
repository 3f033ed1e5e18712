"""How much of a file to fetch first, so that its header comes in one request and little else with it."""

from __future__ import annotations

from weightscope.checkpoint.folder import Expected

# Without an index: of the thousand most used models on the Hub 97 % have headers below 100 kB (huggingface_hub #1855).
UNKNOWN = 100_000
# An entry of a safetensors header less its name and offsets, both of which can be told.
ENTRY = len('"":{"dtype":"F8_E4M3","shape":[18432,7168],"data_offsets":[,]},')
BEGINNING = 8 + 64
# A tensor of a pickle less its name: its storage, offset, shape, strides and hooks; the first ones spell module names.
PICKLED, PICKLE_BEGINNING = 150, 1_000
# Of a zip's directory, a storage and what else is in the archive; a comment of up to 64 kB may follow the end.
LISTED, TAIL = 80, (1 << 16) + 64


def head_of(name: str, size: int, expected: Expected | None) -> int:
    """Bytes at the beginning that hold the header of a safetensors file, or the pickle of a zip."""
    if expected is None:
        return UNKNOWN
    if name.endswith(".safetensors"):
        offsets = 2 * len(str(size))
        return BEGINNING + expected.characters + expected.tensors * (ENTRY + offsets)
    return PICKLE_BEGINNING + expected.characters + expected.tensors * PICKLED


def tail_of(expected: Expected | None) -> int:
    """Bytes at the end that hold a zip's directory."""
    return TAIL + (expected.tensors * LISTED if expected else 0)
