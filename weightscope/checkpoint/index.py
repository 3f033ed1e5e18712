"""Read a `*.index.json`: which tensor lies in which shard, and the totals its writer noted.

Only these are decoded; whatever else is in the file is passed over.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.limits import HINT, MAX_NAME, MAX_SHARDS, MAX_TENSORS
from weightscope.checkpoint.repeated import RepeatedKeyError, once
from weightscope.errors import CheckpointError

# The index of a 90,000-tensor model takes 9 MB.
MAX_INDEX = 200_000_000
# So few bytes hold no more tensors than are read anyway.
UNCOUNTED = 1 << 24
# Quotes for what is in an index beside its tensors.
SPARE = 10_000
# Sizes and counts are 63-bit numbers.
MAX_TOTAL = 1 << 63
# What takes more characters is no such number.
LONG_NUMBER = 40


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What an index file says: tensor name -> shard file name, and the shards each once and sorted.

    `total_size` are the bytes of all tensors, and `total_parameters` the parameters, where the writer noted a whole
    positive number (some note a float, or 0); what writers count as parameters differs. `has_metadata` is false where
    there is none to note them in.
    """

    path: Path
    weight_map: dict[str, str]
    shards: list[str]
    total_size: int | None = None
    total_parameters: int | None = None
    has_metadata: bool = True

    __repr__ = brief


class _Metadata(msgspec.Struct):
    total_size: msgspec.Raw = msgspec.Raw(b"null")
    total_parameters: msgspec.Raw = msgspec.Raw(b"null")


class _File(msgspec.Struct):
    weight_map: dict[str, str]
    metadata: _Metadata | None = None


def read_index(path: Path) -> Index:
    """The index at `path`, its shard names checked to stay inside its directory.

    Raises:
        CheckpointError: `malformed-index` or `unsafe-path`.
    """
    places, totals, has_metadata = _decode(path)
    spelled = {shard: _spelled(shard) for shard in set(places.values())}
    if any(shard != one for shard, one in spelled.items()):
        places = {name: spelled[shard] for name, shard in places.items()}
    shards = sorted(set(spelled.values()))
    if len(shards) > MAX_SHARDS:
        raise _too_many(f"names {len(shards):,} shards; {MAX_SHARDS:,} are the most that are read", path)
    for shard in shards:
        _check_inside(shard, path)
    if len(longest := max(places, key=len)) > MAX_NAME:
        raise _too_many(
            f"a tensor's name has {len(longest):,} characters, {longest[:60]!r}…; {MAX_NAME} are the most", path
        )
    return Index(
        path=path,
        weight_map=places,
        shards=shards,
        total_size=totals[0],
        total_parameters=totals[1],
        has_metadata=has_metadata,
    )


def _spelled(shard: str) -> str:
    """One spelling for one file: `./a` is `a`, and read once."""
    return PurePosixPath(shard).as_posix() if "/" in shard else shard


class _Written(msgspec.Struct):
    """The map as it is written."""

    weight_map: msgspec.Raw = msgspec.Raw(b"{}")


def _whole(raw: msgspec.Raw) -> int | None:
    """The whole positive number that it is, if it is one."""
    value = msgspec.json.decode(raw) if len(memoryview(raw)) <= LONG_NUMBER else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < MAX_TOTAL else None


def _decode(path: Path) -> tuple[dict[str, str], tuple[int | None, int | None], bool]:
    """The shards by tensor, the totals, and whether there is metadata to hold them."""
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
    # A tensor and its shard take four quotes.
    if len(raw) > UNCOUNTED and raw.count(b'"') > 4 * MAX_TENSORS + SPARE:
        raise _too_many(f"names more than {MAX_TENSORS:,} tensors", path)
    try:
        decoded = msgspec.json.decode(raw, type=_File)
        metadata = decoded.metadata or _Metadata()
        totals = _whole(metadata.total_size), _whole(metadata.total_parameters)
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
    return decoded.weight_map, totals, decoded.metadata is not None


def _too_many(what: str, path: Path) -> CheckpointError:
    return CheckpointError(what, where=path, hint=HINT, code="malformed-index")


def _refuse_repeated(raw: bytes, decoded: _File, path: Path) -> None:
    """Raise for a key that is there twice, of which decoding kept the last."""
    # Each name and each shard takes two quotes; only where there are more is it worth decoding slowly. The map is
    # mostly what comes last, and then nothing need be copied.
    quotes, key = 4 * len(decoded.weight_map), b'"weight_map"'
    if raw.count(b'"', raw.find(key) + len(key)) == quotes:
        return
    written = bytes(msgspec.json.decode(raw, type=_Written).weight_map)
    if written.count(b'"') == quotes:
        return
    try:
        json.loads(written, object_pairs_hook=once)
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
    if len(shard) > MAX_NAME:
        raise _too_many(f"a shard's name has {len(shard):,} characters, {shard[:60]!r}…; {MAX_NAME} are the most", path)
    pure = PurePosixPath(shard)
    if not shard or pure.is_absolute() or ".." in pure.parts or "\\" in shard or "\0" in shard or ":" in shard:
        raise CheckpointError(
            f"names the shard {shard!r}, which lies outside its directory",
            where=path,
            hint="do not trust this checkpoint",
            code="unsafe-path",
        )
