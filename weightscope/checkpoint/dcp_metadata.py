"""The `.metadata` of a torch distributed checkpoint: which tensors there are, and where each block of each lies.

Written by torch/distributed/checkpoint/filesystem.py as a pickle of `Metadata` (torch 2.0 to 2.13). It is read by our
own machine: its classes become plain markers, and nothing is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TypeGuard

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.pickle_machine import Global, Machine, Made, malformed
from weightscope.checkpoint.pickles import load
from weightscope.checkpoint.pytorch_names import SUPPORTED
from weightscope.checkpoint.pytorch_objects import MAX_DIMENSIONS, MAX_SIZE
from weightscope.errors import NotImplementedByWeightscope, Where

# Bytes that the pickle may build; 1,000 tensors in 64 blocks each are counted as half of it and take a fifth.
MAX_BUILT = 1 << 30

_PLACE = "torch.distributed.checkpoint"
_METADATA = ("Metadata", "MetadataIndex", "StorageMeta", "TensorStorageMetadata", "BytesStorageMetadata",
             "ChunkStorageMetadata", "TensorProperties", "_MEM_FORMAT_ENCODING")  # fmt: skip
_CLASSES = (
    *(f"{_PLACE}.metadata.{name}" for name in _METADATA),
    f"{_PLACE}.filesystem._StorageInfo",
    # Before torch 2.3.
    "torch.distributed._shard.sharded_tensor.metadata.TensorProperties",
    "torch.distributed._shard.sharded_tensor.metadata.MEM_FORMAT_ENCODING",
)


def _made(name: str) -> Callable[..., Made]:
    # One of these is called for each block: a partial with a keyword takes longer.
    def made(_: Machine, *arguments: object) -> Made:
        return Made(name, arguments)

    return made


_SUPPORTED = SUPPORTED | {name: Global(name, _made(name.rpartition(".")[2])) for name in _CLASSES}


# A tensor's name and its block's first element; a value that is no tensor has no block.
Index = tuple[str, tuple[int, ...] | None]


class Span(msgspec.Struct, frozen=True, gc=False):
    """Bytes of one file, where one block lies as an archive of torch.save."""

    file: str
    start: int
    length: int


class Described(msgspec.Struct, frozen=True, gc=False):
    """One tensor: its blocks as (start, shape), in elements, and where each lies; None where nothing says so."""

    dtype: str
    shape: tuple[int, ...]
    blocks: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    spans: tuple[Span | None, ...]


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """All tensors by full name, each with its keys in the nested state that was saved; where each other value lies."""

    tensors: dict[str, Described]
    paths: dict[str, tuple[object, ...]]
    values: dict[str, Span]


def read_metadata(raw: bytes, where: Where) -> Metadata:
    """What a `.metadata` file says.

    Raises:
        CheckpointError: `malformed-header`, `truncated-file` or `unsafe-pickle`.
        NotImplementedByWeightscope: blocks that were transformed (compressed) as they were written.
    """
    machine = Machine(raw, where=where, supported=_SUPPORTED, most=MAX_BUILT)
    top = _fields(load(machine), "Metadata", where)
    described, stored = top.get("state_dict_metadata"), top.get("storage_data")
    if not isinstance(described, dict) or not isinstance(stored, dict):
        malformed("lists no tensors", where)
    spans = dict(_spans(stored, where))
    tensors = {name: _described(name, said, spans, where) for name, said in _tensors(described, where)}
    planned = top.get("planner_data")
    paths = planned if isinstance(planned, dict) else {}
    return Metadata(
        tensors=tensors,
        paths={name: path for name in tensors if isinstance(path := paths.get(name), tuple)},
        values={name: span for (name, start), span in spans.items() if start is None},
    )


def _fields(made: object, name: str, where: Where) -> dict[object, object]:
    """The attributes of an object of that class."""
    if not isinstance(made, Made) or made.name != name or not isinstance(made.state, dict):
        malformed(f"has something else where a {name} is to be", where)
    return made.state


def _tensors(described: dict[object, object], where: Where) -> Iterator[tuple[str, dict[object, object]]]:
    for name, said in described.items():
        if not isinstance(name, str):
            malformed("has a name that is not text", where)
        if isinstance(said, Made) and said.name == "BytesStorageMetadata":
            continue
        yield name, _fields(said, "TensorStorageMetadata", where)


def _spans(stored: dict[object, object], where: Where) -> Iterator[tuple[Index, Span]]:
    for key, said in stored.items():
        index, info = _fields(key, "MetadataIndex", where), _fields(said, "_StorageInfo", where)
        name, offset = index.get("fqn"), index.get("offset")
        file, start, length = info.get("relative_path"), info.get("offset"), info.get("length")
        if info.get("transform_descriptors"):
            raise NotImplementedByWeightscope(
                "its blocks were compressed as they were written, which weightscope does not undo",
                where=where,
                hint="load it with torch and save it without extensions",
            )
        if not isinstance(name, str) or not isinstance(file, str) or not _is_size(start) or not _is_size(length):
            malformed("says of a block something else than a file and bytes of it", where)
        yield (name, None if offset is None else _sizes(offset, where)), Span(file, start, length)


def _described(name: str, said: dict[object, object], spans: dict[Index, Span], where: Where) -> Described:
    properties, chunks = said.get("properties"), said.get("chunks")
    state = properties.state if isinstance(properties, Made) else None
    # A tuple that begins with the type; old writers kept the attributes.
    dtype = state.get("dtype") if isinstance(state, dict) else state[0] if isinstance(state, tuple) and state else None
    if not isinstance(dtype, Global) or dtype.dtype is None or not isinstance(chunks, list):
        malformed(f"says of {name[:200]!r} no type that weightscope reads, or no blocks", where)
    shape = _sizes(said.get("size"), where)
    fields = [_fields(chunk, "ChunkStorageMetadata", where) for chunk in chunks]
    blocks = tuple((_sizes(of.get("offsets"), where), _sizes(of.get("sizes"), where)) for of in fields)
    if prod(shape) * DTYPE_BITS[dtype.dtype] >= MAX_SIZE:
        malformed(f"gives {name[:200]!r} a size that no tensor has", where)
    return Described(dtype.dtype, shape, blocks, tuple(spans.get((name, start)) for start, _ in blocks))


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < MAX_SIZE


def _sizes(value: object, where: Where) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > MAX_DIMENSIONS or not all(map(_is_size, value)):
        malformed("has a shape or an offset that is none", where)
    return value
