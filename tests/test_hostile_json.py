"""JSON that multiplies when it is decoded: refused in one line at little cost, and what is honest is still read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bounded import assert_cheap, assert_refused_cheaply, run_bounded
from tests.helpers import safetensors_bytes
from weightscope.checkpoint.limits import MAX_NAME, MAX_SHARDS, MAX_TENSORS

HEADER, INDEX = "model.safetensors", "model.safetensors.index.json"
EMPTY = b'"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'


def header(text: bytes) -> bytes:
    return safetensors_bytes(text)


def filled(start: bytes, piece: bytes, end: bytes, size: int = 98_000_000) -> bytes:
    return start + piece * (size // len(piece)) + end


def numbered(start: bytes, piece: bytes, end: bytes, count: int) -> bytes:
    """`piece` for each number, as many digits in all."""
    first = 16 ** len(f"{count:x}")
    return start + b",".join([piece % (first + i) for i in range(count)]) + end


HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a name of 98 MB": (
        HEADER,
        lambda: header(filled(b'{"', b"0.", b'":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')),
        f"the limit is {MAX_NAME}",
    ),
    "tiny arrays": (HEADER, lambda: header(filled(b'{"a":[', b"[],", b"[]]}")), "values"),
    "a shape of zeros": (
        HEADER,
        lambda: header(filled(b'{"a":{"dtype":"U8","data_offsets":[0,0],"shape":[', b"0,", b"0]}}")),
        "values",
    ),
    "as many values as are counted, in the wrong place": (
        HEADER,
        lambda: header(filled(b'{"a":[', b"[300],", b"[]]}", 19_000_000)),
        "too many to say why",
    ),
    "tiny arrays, as many as are decoded": (
        HEADER,
        lambda: header(filled(b'{"a":[', b"[],", b"[]]}", 4_000_000)),
        "'a' is not described by a JSON object",
    ),
    "objects, as many as are decoded": (
        HEADER,
        lambda: header(numbered(b'{"a":{', b'"%x":{}', b"}}", 330_000)),
        "'a' has no 'shape'",
    ),
    "1.7 million empty tensors": (HEADER, lambda: header(numbered(b"{", EMPTY, b"}", 1_700_000)), "values"),
    "a million empty tensors of as many kinds": (
        HEADER,
        lambda: header(numbered(b"{", EMPTY, b"}", 1_000_000)),
        "no declared kind",
    ),
    "metadata of 98 MB": (
        HEADER,
        lambda: header(filled(b'{"__metadata__":{"a":"', b"0", b'"}}')),
        "",
    ),
    "an index with metadata of empty lists": (
        INDEX,
        lambda: filled(b'{"weight_map":{"a":"b.safetensors"},"metadata":{"a":[', b"[],", b"[]]}}", 199_000_000),
        "",
    ),
    "an index with 9 million shards": (
        INDEX,
        lambda: numbered(b'{"weight_map":{', b'"%x":"a"', b"}}", 9_000_000),
        "names more than",
    ),
    "an index with 200,000 shards": (
        INDEX,
        lambda: b'{"weight_map":{' + b",".join(b'"%d":"%d"' % (i, i) for i in range(200_000)) + b"}}",
        f"the limit is {MAX_SHARDS:,}",
    ),
    "an index with a name of 199 MB": (
        INDEX,
        lambda: filled(b'{"weight_map":{"', b"0.", b'":"b.safetensors"}}', 199_000_000),
        f"the limit is {MAX_NAME}",
    ),
    "an index of white space": (
        INDEX,
        lambda: filled(b'{"weight_map":{"a":"b.safetensors"', b" ", b"}}", 199_000_000),
        "",
    ),
    "an index with white space before a number": (
        INDEX,
        lambda: filled(b'{"weight_map":{"a":', b" ", b"1}}", 199_000_000),
        "not a usable index",
    ),
    "an index with white space before a list": (
        INDEX,
        lambda: filled(b'{"weight_map":{"a":"b",', b" ", b'"c":[]}}', 199_000_000),
        "not a usable index",
    ),
    "an index with a list of names": (
        INDEX,
        lambda: filled(b'{"weight_map":[', b'"a" ,', b'"a"]}', 16_000_000),
        "not a usable index",
    ),
    "an index with a million runs": (
        INDEX,
        lambda: numbered(b'{"weight_map":{', b'"%x":"a","b":"b"', b"}}", 600_000),
        "",
    ),
    "an index with a shard of 199 MB": (
        INDEX,
        lambda: filled(b'{"weight_map":{"a":"', b"0.", b'"}}', 199_000_000),
        f"the limit is {MAX_NAME}",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "content", "words"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", ["inspect", "check"])
def test_json_that_multiplies(
    tmp_path: Path, name: str, content: Callable[[], bytes], words: str, command: str
) -> None:
    (tmp_path / name).write_bytes(content())
    done = run_bounded(tmp_path, command, tmp_path / name, "--format", "json")
    (tmp_path / name).unlink()
    if command == "check" or not words:
        assert_cheap(done)
        assert words in done.out
    else:
        assert_refused_cheaply(done, words)


def test_numbers_of_an_index_are_its_own(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text('{"weight_map": {"a": "b"}, "metadata": {"total_size": 12, "x": {"total_size": 1}}}')
    done = run_bounded(tmp_path, "inspect", tmp_path / INDEX, "--format", "json")
    assert json.loads(done.out)["bytes"] == 12


@pytest.mark.slow
def test_a_million_honest_tensors_open(tmp_path: Path) -> None:
    """4 shards of 250,000 tensors each, with their index; it takes what a million tensors take, and no less."""
    weight_map, count = {}, 250_000
    for shard in range(4):
        file = f"model-{shard + 1:05d}-of-00004.safetensors"
        names = [f"model.layers.{shard * 10 + i // 25_000}.mlp.experts.{i % 25_000}.up.weight" for i in range(count)]
        entry = '"%s":{"dtype":"U8","shape":[1,1],"data_offsets":[%d,%d]}'
        text = ",".join(entry % (name, i, i + 1) for i, name in enumerate(names))
        with (tmp_path / file).open("wb") as out:
            out.write(safetensors_bytes('{"__metadata__":{"format":"pt"},' + text + "}"))
            out.truncate(out.tell() + count)
        weight_map.update(dict.fromkeys(names, file))
    (tmp_path / INDEX).write_text(json.dumps({"metadata": {"total_size": 4 * count}, "weight_map": weight_map}))
    assert len(weight_map) < MAX_TENSORS
    done = run_bounded(tmp_path, "inspect", tmp_path, "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["tensors"]["total"] == 1_000_000
    assert done.bytes < 2 << 30
