"""Read a `*.index.json`: which tensor lies in which shard, and the totals its writer noted.

Only these are decoded; whatever else is in the file is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.limits import HINT, MAX_NAME, MAX_SHARDS, MAX_TENSORS
from weightscope.errors import CheckpointError

T = TypeVar("T")

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


class Index(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What an index file says: the shards, each once and sorted, and which tensor lies in which.

    `total_size` are the bytes of all tensors, and `total_parameters` the parameters, where the writer noted a whole
    positive number (some note a float, or 0); what writers count as parameters differs. `has_metadata` is false where
    there is none to note them in. `places` is the map where it is decoded already, `content` the file.
    """

    path: Path
    shards: list[str]
    content: bytes = b""
    places: dict[str, str] | None = None
    total_size: int | None = None
    total_parameters: int | None = None
    has_metadata: bool = True

    __repr__ = brief

    @cached_property
    def weight_map(self) -> dict[str, str]:
        """Tensor name -> shard file name; decoded when it is first asked for.

        Raises:
            CheckpointError: `malformed-index`; a name is there twice.
        """
        return _places(self.content, self.path) if self.places is None else self.places

    def counts(self) -> dict[str, tuple[int, int]]:
        """Of each shard how many tensors lie in it, and the characters of all their names; nearly so, if undecoded."""
        found = dict.fromkeys(self.shards, (0, 0))
        for shard, tensors, characters in self._runs():
            before = found[shard]
            found[shard] = (before[0] + tensors, before[1] + characters)
        return found

    def _runs(self) -> Iterator[tuple[str, int, int]]:
        if self.places is not None:
            yield from ((shard, 1, len(name)) for name, shard in self.places.items())
            return
        for run in re.compile(_RUN).finditer(bytes(_outline.decode(self.content).weight_map), 1):
            # A tensor and its shard have four quotes, a colon and a comma; white space is not part of most names.
            tensors, text = run[0].count(b'"') // 4, run[0].translate(None, b" \t\r\n")
            yield str(run[1], "ascii"), tensors, len(text) - tensors * (len(run[1]) + 6)


class _Metadata(msgspec.Struct):
    total_size: msgspec.Raw = msgspec.Raw(b"null")
    total_parameters: msgspec.Raw = msgspec.Raw(b"null")


class _Outline(msgspec.Struct):
    """The map as it is written."""

    weight_map: msgspec.Raw
    metadata: _Metadata | None = None


class _File(msgspec.Struct):
    weight_map: dict[str, str]


_outline = msgspec.json.Decoder(_Outline)
_file = msgspec.json.Decoder(_File)
_value = msgspec.json.Decoder()
# Tensors in a row that lie in one shard, in a map without escapes.
_RUN = rb'\s*"[^"]{0,%d}"\s*:\s*"([^"]*)"(?:\s*,\s*"[^"]{0,%d}"\s*:\s*"\1")*+\s*[,}]' % (MAX_NAME, MAX_NAME)


def read_index(path: Path) -> Index:
    """The index at `path`, its shard names checked to stay inside its directory.

    A name that is there twice shows only when the map is asked for.

    Raises:
        CheckpointError: `malformed-index` or `unsafe-path`.
    """
    content = _content(path)
    outline = _decoded(_outline, content, path)
    metadata = outline.metadata or _Metadata()
    places, named = None, _named(memoryview(outline.weight_map)) if _is_plain(content) else None
    if named is None:
        places = _places(content, path)
        named = set(places.values())
    shards = sorted(named)
    if len(shards) > MAX_SHARDS:
        raise _too_many(f"names {len(shards):,} shards; the limit is {MAX_SHARDS:,}", path)
    for shard in shards:
        _check_inside(shard, path)
    return Index(
        path=path,
        shards=shards,
        content=content,
        places=places,
        total_size=_whole(metadata.total_size, path),
        total_parameters=_whole(metadata.total_parameters, path),
        has_metadata=outline.metadata is not None,
    )


def _is_plain(content: bytes) -> bool:
    """Whether each text in it is spelled as it is."""
    return content.isascii() and b"\\" not in content


def _named(written: memoryview) -> set[str] | None:
    """The shards that a map names, without decoding it; None where it is not as plain as nearly all are.

    A model of 90,000 tensors has some thousand runs of them, and to decode its map takes longer than to read all else.
    """
    named: set[str] = set()
    # Each run begins where the last one ended: to search for one would take the square of what a hostile file holds.
    run_at, end = re.compile(_RUN).match, 1
    while end < len(written):
        run = run_at(written, end)
        if run is None:
            return None
        end = run.end()
        named.add(str(run[1], "ascii"))
    return named if named and all(_spelled(shard) == shard for shard in named) else None


def _places(content: bytes, path: Path) -> dict[str, str]:
    """The map, decoded and with one spelling for each shard."""
    places = _decoded(_file, content, path).weight_map
    _refuse_repeated(content, places, path)
    if not places:
        raise CheckpointError(
            "the index names no tensors", where=path, hint="download it again", code="malformed-index"
        )
    if len(longest := max(places, key=len)) > MAX_NAME:
        raise _too_many(
            f"a tensor's name has {len(longest):,} characters, {longest[:60]!r}…; the limit is {MAX_NAME}", path
        )
    spelled = {shard: _spelled(shard) for shard in set(places.values())}
    if any(shard != one for shard, one in spelled.items()):
        return {name: spelled[shard] for name, shard in places.items()}
    return places


def _spelled(shard: str) -> str:
    """One spelling for one file: `./a` is `a`, and read once."""
    return PurePosixPath(shard).as_posix() if "/" in shard else shard


def _whole(raw: msgspec.Raw, path: Path) -> int | None:
    """The whole positive number that it is, if it is one."""
    value = _decoded(_value, raw, path) if len(memoryview(raw)) <= LONG_NUMBER else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < MAX_TOTAL else None


def _content(path: Path) -> bytes:
    """The file, if it can be an index."""
    if not path.is_file():
        raise CheckpointError("an index that is not a regular file", where=path, code="malformed-index")
    if path.stat().st_size > MAX_INDEX:
        raise CheckpointError(
            f"an index of over {MAX_INDEX:,} bytes, which is the limit",
            where=path,
            hint="check that it is an index file",
            code="malformed-index",
        )
    content = path.read_bytes()
    if content.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            "a Git LFS pointer, not the index", where=path, hint="run `git lfs pull`", code="malformed-index"
        )
    # A tensor and its shard take four quotes.
    if len(content) > UNCOUNTED and content.count(b'"') > 4 * MAX_TENSORS + SPARE:
        raise _too_many(f"names more than {MAX_TENSORS:,} tensors", path)
    return content


def _decoded(decoder: msgspec.json.Decoder[T], content: bytes | msgspec.Raw, path: Path) -> T:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(
            f"not a usable index ({error})",
            where=path,
            hint='it needs {"weight_map": {tensor: shard}}; download it again',
            code="malformed-index",
        ) from None


def _too_many(what: str, path: Path) -> CheckpointError:
    return CheckpointError(what, where=path, hint=HINT, code="malformed-index")


def _refuse_repeated(content: bytes, places: dict[str, str], path: Path) -> None:
    """Raise for a key that is there twice, of which decoding kept the last."""
    # Each name and each shard takes two quotes; only where there are more is it worth decoding slowly. The map is
    # mostly what comes last, and then nothing need be copied.
    quotes, key = 4 * len(places), b'"weight_map"'
    if content.count(b'"', content.find(key) + len(key)) == quotes:
        return
    written = bytes(_outline.decode(content).weight_map)
    if written.count(b'"') == quotes:
        return
    import json

    from weightscope.checkpoint.slow_json import RepeatedKeyError, once

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
        raise _too_many(f"a shard's name has {len(shard):,} characters, {shard[:60]!r}…; the limit is {MAX_NAME}", path)
    steps_out = shard.startswith("/") or ".." in shard.split("/")
    if not shard or steps_out or "\\" in shard or "\0" in shard or ":" in shard:
        raise CheckpointError(
            f"names the shard {shard!r}, which lies outside its directory",
            where=path,
            hint="do not trust this checkpoint",
            code="unsafe-path",
        )
