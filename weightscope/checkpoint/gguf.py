"""The header of a GGUF file: metadata, tensor names, block types and offsets, read within bounds.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from struct import Struct

from weightscope.checkpoint.claims import MAX_SIZE
from weightscope.checkpoint.dtypes import BLOCKS, DTYPE_BITS, byte_size
from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.gguf_cursor import MAX_HEADER, REDOWNLOAD, Cursor
from weightscope.checkpoint.gguf_metadata import Metadata, Scalar, Skipped, Value
from weightscope.checkpoint.gguf_numbers import KEYS, number_entries
from weightscope.checkpoint.limits import MAX_NAME, MAX_TENSORS
from weightscope.checkpoint.slices import Bytes
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where

MAGIC = b"GGUF"
# Keys of the metadata, of which published files have some 60, and the bytes of a key as the format allows them.
MAX_KEYS, MAX_KEY = 10_000, 65_535
# A string's bytes: chat templates have some 20 kB.
MAX_TEXT = 10_000_000
# Longer arrays are skipped: what describes layers is shorter, vocabularies are longer.
KEPT = 4096
# ggml has four dimensions.
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 1 << 20
DEFAULT_ALIGNMENT = 32

STRING, ARRAY = 8, 9
# The format's number of a value's type -> how struct spells it.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
WIDTHS = {number: Struct(f"<{code}").size for number, code in SCALARS.items()}
# https://github.com/ggml-org/llama.cpp, `GGMLQuantizationType` in gguf-py/gguf/constants.py.
TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0", 42: "Q2_0",
}  # fmt: skip
# Types that ggml had once and can no longer read.
REMOVED = {
    4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}  # fmt: skip


def gguf_header(data: Bytes, path: Path, number: int = 0, *, remote: str = "") -> FileHeader:
    """The header of a GGUF file, checked: tensors lie one after another, as many bytes as their shapes and types say.

    An entry's shape has the slowest dimension first, as everywhere else; the file has it last.

    Raises:
        CheckpointError: `malformed-header` or `truncated-file`.
        NotImplementedByWeightscope: another version of the format, or a type that is not known.
    """
    cursor = Cursor(data, remote or path)
    count, keys = _counts(cursor)
    metadata = _metadata(cursor, keys)
    alignment = _alignment(metadata)
    entries = _tensors(cursor, count, number)
    start = -(-cursor.at // alignment) * alignment
    _check_layout(entries, start, len(data), alignment, cursor.where)
    return FileHeader(
        path=path,
        format="gguf",
        bytes=len(data),
        data_start=start,
        tensors=dict(number_entries(metadata.arrays, start, number)) | entries if metadata.arrays else entries,
        remote=remote,
        described=metadata,
    )


def _counts(cursor: Cursor) -> tuple[int, int]:
    """How many tensors and keys the header says that it has."""
    cursor.at = len(MAGIC)
    version = cursor.u32()
    if version not in (2, 3):
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        if swapped in (2, 3):
            raise NotImplementedByWeightscope(
                "a GGUF file of a big-endian machine, which weightscope does not read",
                where=cursor.where,
                hint="convert it with gguf_convert_endian.py of llama.cpp",
            )
        raise NotImplementedByWeightscope(
            f"a GGUF file of version {version:,}; weightscope reads versions 2 and 3",
            where=cursor.where,
            hint="convert the model again with a current llama.cpp",
        )
    tensors, keys = cursor.u64(), cursor.u64()
    if tensors > MAX_TENSORS:
        cursor.malformed(f"claims {tensors:,} tensors; the limit is {MAX_TENSORS:,}")
    if keys > MAX_KEYS:
        cursor.malformed(f"claims {keys:,} metadata keys; the limit is {MAX_KEYS:,}")
    return tensors, keys


def _metadata(cursor: Cursor, count: int) -> Metadata:
    values: dict[str, Value] = {}
    arrays: dict[str, Skipped] = {}
    for _ in range(count):
        key = cursor.text(MAX_KEY, "a metadata key")
        if key in values or key in arrays:
            cursor.malformed(f"the metadata key {key[:60]!r} appears twice")
        kind = cursor.u32()
        if kind != ARRAY:
            values[key] = _scalar(cursor, kind, key)
            continue
        found = _array(cursor, key)
        if isinstance(found, Skipped):
            arrays[key] = found
        else:
            values[key] = found
    return Metadata(where=cursor.where, values=values, arrays=arrays)


def _scalar(cursor: Cursor, kind: int, key: str) -> Scalar:
    if kind == STRING:
        return cursor.text(MAX_TEXT, f"the value of {key[:60]!r}")
    code, width = SCALARS.get(kind), WIDTHS.get(kind)
    if code is None or width is None:
        cursor.malformed(f"the metadata key {key[:60]!r} has a value of the unknown type {kind:,}")
    cursor.need(width)
    value: Scalar = Struct(f"<{code}").unpack_from(cursor.buffer, cursor.at)[0]
    cursor.at += width
    return value


def _array(cursor: Cursor, key: str) -> tuple[Scalar, ...] | Skipped:
    kind, count = cursor.u32(), cursor.u64()
    if kind == ARRAY:
        cursor.malformed(f"the metadata key {key[:60]!r} has an array of arrays, which llama.cpp does not read")
    if kind != STRING and kind not in WIDTHS:
        cursor.malformed(f"the metadata key {key[:60]!r} has an array of the unknown type {kind:,}")
    if count * WIDTHS.get(kind, 8) > MAX_HEADER:
        cursor.malformed(f"the metadata key {key[:60]!r} claims an array of {count:,} elements")
    if count <= KEPT and key not in KEYS:
        return tuple(_scalar(cursor, kind, key) for _ in range(count))
    start = cursor.at
    if kind == STRING:
        cursor.skip_strings(count)
    else:
        width = WIDTHS[kind] * count
        cursor.need(width)
        cursor.at += width
    return Skipped(kind, count, start, cursor.at)


def _alignment(metadata: Metadata) -> int:
    alignment = metadata.whole("general.alignment")
    if alignment is None:
        return DEFAULT_ALIGNMENT
    if not 1 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise CheckpointError(
            f"general.alignment is {alignment:,}, not a power of two up to {MAX_ALIGNMENT:,}",
            where=metadata.where,
            hint=REDOWNLOAD,
            code="malformed-header",
        )
    return alignment


def _tensors(cursor: Cursor, count: int, number: int) -> dict[str, TensorEntry]:
    """Entries by name, in file order; `data_offsets` count from the data section."""
    entries: dict[str, TensorEntry] = {}
    for _ in range(count):
        name = cursor.text(MAX_NAME, "a tensor's name")
        if name in entries:
            raise CheckpointError(
                f"tensor {name!r} appears twice in the header",
                where=cursor.where,
                hint="convert the model again",
                code="duplicate-tensor",
            )
        dimensions = cursor.u32()
        if dimensions > MAX_DIMENSIONS:
            cursor.malformed(f"tensor {name!r} has {dimensions:,} dimensions; {MAX_DIMENSIONS} are allowed")
        shape = tuple(cursor.u64() for _ in range(dimensions))[::-1]
        if max(shape, default=0) > MAX_SIZE or prod(shape) > MAX_SIZE:
            cursor.malformed(f"tensor {name!r} has more elements than 64 bits can count")
        dtype = _type(cursor, name)
        block = BLOCKS.get(dtype)
        if block is not None and (not shape or shape[-1] % block.weights):
            cursor.malformed(
                f"tensor {name!r} is {dtype} {list(shape)}, and its rows are not whole blocks of {block.weights}"
            )
        start = cursor.u64()
        entries[name] = TensorEntry(dtype, shape, (start, start + byte_size(dtype, shape)), None, number)
    return entries


def _type(cursor: Cursor, name: str) -> str:
    kind = cursor.u32()
    dtype = TYPES.get(kind)
    if dtype is not None and (dtype in BLOCKS or dtype in DTYPE_BITS):
        return dtype
    known = f"{REMOVED[kind]}, which llama.cpp no longer reads" if kind in REMOVED else f"of the unknown type {kind:,}"
    raise NotImplementedByWeightscope(
        f"tensor {name!r} is {known}", where=cursor.where, hint="a newer weightscope may know it"
    )


def _check_layout(entries: dict[str, TensorEntry], start: int, size: int, alignment: int, where: Where) -> None:
    """Raise unless each tensor begins where the one before it ends, but for padding, and the last ends in the file."""
    end = 0
    for name, entry in entries.items():
        begin, stop = entry.data_offsets
        expected = -(-end // alignment) * alignment
        if begin != expected:
            raise CheckpointError(
                f"tensor {name!r} begins at data byte {begin:,}, not at {expected:,} where the one before it ends",
                where=where,
                hint=REDOWNLOAD,
                code="malformed-header",
            )
        end = stop
    if entries and start + end > size:
        raise CheckpointError(
            f"the header describes {end:,} bytes of data, the file holds {max(size - start, 0):,}",
            where=where,
            hint=REDOWNLOAD,
            code="truncated-file",
        )
    rest = size - start - end
    if rest > alignment:
        raise CheckpointError(
            f"{rest:,} bytes after the last tensor belong to no tensor",
            where=where,
            hint=REDOWNLOAD,
            code="malformed-header",
        )
