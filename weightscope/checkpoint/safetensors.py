"""Read the header of a safetensors file, every claim in it checked before it is used.

Format: https://github.com/huggingface/safetensors#format. A file is eight bytes of little-endian header length,
that many bytes of JSON, then the data; the reference reader allows no gap, no overlap and at most 100 MB of header.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from weightscope.checkpoint.dtypes import SAFETENSORS_BITS
from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.limits import MAX_TENSORS, too_many
from weightscope.checkpoint.slices import Bytes
from weightscope.errors import CheckpointError, Where

MAX_HEADER = 100_000_000
# No tensor has more; without a bound, a hostile shape costs hours of multiplication.
MAX_DIMENSIONS = 64
# Sizes and offsets are 64-bit numbers.
MAX_SIZE = 2**64 - 1
# A tensor's entry holds three fields in one object, two of them arrays, and one number a dimension.
MAX_VALUES = 8 * MAX_TENSORS
# Of a header that is decoded slowly, to say what is wrong with it: ten times the memory.
MAX_UNUSUAL = 2_000_000
# So few bytes hold no more than that.
UNCOUNTED = 1 << 22
METADATA = "__metadata__"
# How nearly all files begin, since transformers writes them so.
USUAL = b'{"__metadata__":{"format":"pt"},"'
# White space of JSON.
SPACE = b" \t\r\n"
FIELDS = ("dtype", "shape", "data_offsets")
REDOWNLOAD = "download or copy the file again"

_entries = msgspec.json.Decoder(dict[str, TensorEntry])
# What may follow the metadata's closing brace.
_AFTER_METADATA = rb'[ \t\r\n]*(?:,[ \t\r\n]*(?=")|(?=\}))'


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys in order and none swallowed; a class, so that an array is not taken for one."""


def safetensors_header(data: Bytes, path: Path, number: int = 0, *, remote: str = "") -> FileHeader:
    """The header of one safetensors file, which is file `number` of its checkpoint; `remote` names one not here.

    Raises:
        CheckpointError: `truncated-file`, `malformed-header` or `duplicate-tensor`, naming the file and the tensor.
    """
    where, size = remote or path, len(data)
    prefix = data[0:8]
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8:
        raise CheckpointError(
            f"{size} bytes are too few for a safetensors file", where=where, hint=REDOWNLOAD, code="truncated-file"
        )
    if length > MAX_HEADER:
        _malformed(where, f"claims a header of {length:,} bytes; the format allows {MAX_HEADER:,}")
    if length > size - 8:
        raise CheckpointError(
            f"claims a header of {length:,} bytes but ends after {size:,}",
            where=where,
            hint=REDOWNLOAD,
            code="truncated-file",
        )
    tensors, metadata = decode_header(data[8 : 8 + length], where)
    check_layout(tensors, size - 8 - length, where, number)
    return FileHeader(
        path=path,
        format="safetensors",
        bytes=size,
        data_start=8 + length,
        tensors=tensors,
        metadata=metadata,
        remote=remote,
    )


def decode_header(header: bytes, path: Where) -> tuple[dict[str, TensorEntry], dict[str, str]]:
    """Tensor entries by name, and the free-form metadata, of a header's JSON."""
    # Trailing spaces are alignment padding. The format wants none before, but the reference reader takes them.
    header = header.lstrip(SPACE)
    if not header.startswith(b"{"):
        _malformed(path, "the header is not a JSON object")
    if len(header) > UNCOUNTED and (values := _values(header)) > MAX_VALUES:
        raise too_many(f"the header holds {values:,} values; the limit is {MAX_VALUES:,}", path)
    body, metadata = _split_metadata(header)
    try:
        tensors = _entries.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_slowly(header, path)
    # An entry's name, three keys and dtype take ten quotes. More of them mean that the dict may have swallowed
    # a duplicate name or field, or that an entry has a field that the format does not know.
    if body.count(b'"') != 10 * len(tensors) or METADATA in tensors:
        return _decode_slowly(header, path)
    return tensors, metadata


def _values(header: bytes) -> int:
    """The most values that the JSON can hold: each is the first of an array or object, or follows a comma."""
    return header.count(b",") + header.count(b"[") + header.count(b"{")


def _split_metadata(header: bytes) -> tuple[bytes, dict[str, str]]:
    """The header without its `__metadata__` entry where that comes first, as every writer puts it."""
    if header.startswith(USUAL):
        return b'{"' + header[len(USUAL) :], {"format": "pt"}
    start = b'{"__metadata__":{'
    if not header.startswith(start):
        return header, {}
    end = header.find(b"}", len(start))
    raw = header[len(start) - 1 : end + 1]
    try:
        metadata = msgspec.json.decode(raw, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return header, {}
    after = re.compile(_AFTER_METADATA).match(header, end + 1)
    return (b"{" + header[after.end() :], metadata) if after else (header, {})


def _decode_slowly(header: bytes, path: Where) -> tuple[dict[str, TensorEntry], dict[str, str]]:
    """The same with every complaint named: used when the fast way met something unusual."""
    import json

    if len(header) > UNCOUNTED and (values := _values(header)) > MAX_UNUSUAL:
        _malformed(path, f"the header does not follow the format, and its {values:,} values are too many to say where")
    try:
        text = header.decode("utf-8")
        # The strict grammar; the standard decoder lets NaN and halves of surrogate pairs pass.
        msgspec.json.decode(text)
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except UnicodeDecodeError as error:
        _malformed(path, f"the header is not UTF-8 at byte {8 + error.start}")
    except RecursionError:
        _malformed(path, "the header is nested too deeply")
    except ValueError as error:
        _malformed(path, f"the header is not JSON ({error})")
    tensors: dict[str, TensorEntry] = {}
    metadata: dict[str, str] | None = None
    for name, value in pairs:
        if name == METADATA:
            if metadata is not None:
                _malformed(path, "__metadata__ appears twice in the header")
            metadata = _metadata(value, path)
            continue
        if name in tensors:
            raise CheckpointError(
                f"tensor {name!r} appears twice in the header", where=path, hint="re-save it", code="duplicate-tensor"
            )
        tensors[name] = _entry(name, value, path)
    return tensors, metadata or {}


def _metadata(value: Any, path: Where) -> dict[str, str]:
    """The map, where null stands for an empty one, as the reference reader takes it."""
    if value is None:
        return {}
    if not isinstance(value, _Pairs) or not all(isinstance(text, str) for _, text in value):
        _malformed(path, "__metadata__ is not a map of strings to strings")
    return dict(value)


def _entry(name: str, value: Any, path: Where) -> TensorEntry:
    if not isinstance(value, _Pairs):
        _malformed(path, f"tensor {name!r} is not described by a JSON object")
    try:
        stated = [(key, field) for key, field in value if key in FIELDS]
        fields = dict(stated)
        if len(fields) != len(stated):
            _malformed(path, f"tensor {name!r} has a field twice")
        if isinstance(fields["shape"], _Pairs):
            _malformed(path, f"tensor {name!r} has an object for a shape")
        return msgspec.convert({key: fields[key] for key in FIELDS}, TensorEntry)
    except KeyError as error:
        _malformed(path, f"tensor {name!r} has no {error.args[0]!r}")
    except msgspec.ValidationError as error:
        _malformed(path, f"tensor {name!r} has an invalid description: {error}")


def check_layout(tensors: dict[str, TensorEntry], data_bytes: int, path: Where, number: int = 0) -> None:
    """Raise unless the tensors fill the data section exactly, each as many bytes as its shape and dtype say.

    Each entry is given the file's number on the way: a second pass over 90,000 would be felt.
    """
    end = 0
    ordered = True
    for name, entry in tensors.items():
        try:
            # Like tensors share their dtype and shape: 90,000 of them have twenty.
            entry.dtype, entry.shape, size = _layout(entry.dtype, entry.shape)
        except _StrangeError as strange:
            _malformed(path, f"tensor {name!r}{strange}", strange.hint)
        entry.file = number
        start, stop = entry.data_offsets
        if start != end:
            ordered = False
        end = stop
        if stop - start != size:
            shape = list(entry.shape)
            _malformed(
                path,
                f"tensor {name!r} is {entry.dtype} {shape}, which takes {size:,} bytes, but its offsets "
                f"{start:,} to {stop:,} give it {stop - start:,}",
            )
    if not ordered:
        end = _check_tiling(tensors, path)
    if end > data_bytes:
        raise CheckpointError(
            f"the header describes {end:,} bytes of data, the file holds {data_bytes:,}",
            where=path,
            hint=REDOWNLOAD,
            code="truncated-file",
        )
    if end < data_bytes:
        _malformed(path, f"{data_bytes - end:,} bytes after the last tensor belong to no tensor")


def _check_tiling(tensors: dict[str, TensorEntry], path: Where) -> int:
    end, previous = 0, ""
    for name, entry in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        start, stop = entry.data_offsets
        if start < end:
            _malformed(path, f"tensors {previous!r} and {name!r} overlap at data byte {start:,}")
        if start > end:
            _malformed(path, f"{start - end:,} bytes before tensor {name!r} belong to none")
        end, previous = stop, name
    return end


class _StrangeError(Exception):
    """What no tensor is, as the rest of a sentence that begins with its name."""

    def __init__(self, what: str, hint: str = REDOWNLOAD) -> None:
        super().__init__(what)
        self.hint = hint


@lru_cache(1024)
def _layout(dtype: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...], int]:
    """Both again, and the bytes that they take; sub-byte types are packed and must fill whole bytes."""
    bits = SAFETENSORS_BITS.get(dtype)
    if bits is None:
        raise _StrangeError(f" has unknown dtype {dtype!r}", "a newer weightscope may know it")
    if len(shape) > MAX_DIMENSIONS:
        raise _StrangeError(f" has {len(shape):,} dimensions; {MAX_DIMENSIONS} are allowed")
    elements = 1
    for dimension in shape:
        elements *= dimension
        if max(elements, dimension) > MAX_SIZE:
            raise _StrangeError(" has more elements than 64 bits can count")
    total = elements * bits
    if total % 8:
        raise _StrangeError(f", {dtype} {list(shape)}, does not fill whole bytes")
    return dtype, shape, total // 8


def _malformed(path: Where, what: str, hint: str = REDOWNLOAD) -> NoReturn:
    raise CheckpointError(what, where=path, hint=hint, code="malformed-header")
