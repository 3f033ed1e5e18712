"""Read a `*.index.json`: which tensor lies in which shard, and the totals its writer noted."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from weightscope.checkpoint.repeated import RepeatedKeyError, once
from weightscope.errors import CheckpointError

# The index of a 90,000-tensor model takes 9 MB.
MAX_INDEX = 200_000_000


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What an index file says: tensor name -> shard file name, the shards each once and sorted, free-form metadata."""

    path: Path
    weight_map: dict[str, str]
    shards: list[str]
    metadata: dict[str, Any]

    @property
    def total_size(self) -> int | None:
        """Bytes of all tensors, if the writer noted a whole positive number (some note a float, or 0)."""
        return self._whole("total_size")

    @property
    def total_parameters(self) -> int | None:
        """Parameters, if the writer noted them; what writers count differs."""
        return self._whole("total_parameters")

    def _whole(self, key: str) -> int | None:
        value = self.metadata.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


class _File(msgspec.Struct):
    weight_map: dict[str, str]
    metadata: dict[str, Any] | None = None


def read_index(path: Path) -> Index:
    """The index at `path`, its shard names checked to stay inside its directory.

    Raises:
        CheckpointError: `malformed-index` or `unsafe-path`.
    """
    decoded = _decode(path)
    shards = sorted(set(decoded.weight_map.values()))
    for shard in shards:
        _check_inside(shard, path)
    return Index(path=path, weight_map=decoded.weight_map, shards=shards, metadata=decoded.metadata or {})


def _decode(path: Path) -> _File:
    if not path.is_file():
        raise CheckpointError("an index that is not a regular file", where=path, code="malformed-index")
    if path.stat().st_size > MAX_INDEX:
        raise CheckpointError(
            f"an index of over {MAX_INDEX:,} bytes is not read",
            where=path,
            hint="is it an index file?",
            code="malformed-index",
        )
    raw = path.read_bytes()
    if raw.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            "a Git LFS pointer, not the index", where=path, hint="run `git lfs pull`", code="malformed-index"
        )
    try:
        decoded = msgspec.json.decode(raw, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(
            f"not a usable index ({error})",
            where=path,
            hint='it needs {"weight_map": {tensor: shard}}; download it again',
            code="malformed-index",
        ) from None
    _refuse_repeated(raw, decoded, path)
    if not decoded.weight_map:
        raise CheckpointError(
            "an index that names no tensor", where=path, hint="download it again", code="malformed-index"
        )
    return decoded


def _refuse_repeated(raw: bytes, decoded: _File, path: Path) -> None:
    """Raise for a key that is there twice, of which decoding kept the last."""
    # Each name and each shard takes two quotes; only where there are more is it worth decoding slowly.
    quotes = 4 * len(decoded.weight_map) + 2 * sum(key in raw for key in (b'"weight_map"', b'"metadata"'))
    if raw.count(b'"') == quotes + msgspec.json.encode(decoded.metadata).count(b'"'):
        return
    try:
        json.loads(raw, object_pairs_hook=once)
    except RepeatedKeyError as error:
        raise CheckpointError(
            str(error),
            where=path,
            hint="loaders take the last: rewrite the index from the shards",
            code="malformed-index",
        ) from None
    except (ValueError, RecursionError):
        return


def _check_inside(shard: str, path: Path) -> None:
    pure = PurePosixPath(shard)
    if not shard or pure.is_absolute() or ".." in pure.parts or "\\" in shard or "\0" in shard or ":" in shard:
        raise CheckpointError(
            f"names the shard {shard!r}, which lies outside its directory",
            where=path,
            hint="do not trust this checkpoint",
            code="unsafe-path",
        )
