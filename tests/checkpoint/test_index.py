"""Index files: what transformers writes, what people and exporters make of them, and what must not be followed."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import transformers

from tests.helpers import write_index, write_safetensors
from weightscope.checkpoint.index import MAX_INDEX, Index, read_index
from weightscope.errors import CheckpointError

SHARD = "model-00001-of-00001.safetensors"


def indexed(directory: Path, **fields: Any) -> Index:
    return read_index(write_index(directory / "model.safetensors.index.json", {"a": SHARD}, **fields))


def refused(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_index(path)
    assert str(path) in str(caught.value)
    return caught.value


def test_an_index_of_transformers(sharded: Path) -> None:
    path = sharded / transformers.utils.SAFE_WEIGHTS_INDEX_NAME
    written = json.loads(path.read_text())
    index = read_index(path)
    assert index.weight_map == written["weight_map"]
    assert index.shards == sorted(p.name for p in sharded.glob("model-*.safetensors"))
    assert len(index.shards) > 1
    assert index.total_size == written["metadata"]["total_size"]
    assert index.total_parameters == written["metadata"]["total_parameters"]


@pytest.mark.parametrize(
    ("noted", "total"),
    [
        (8, 8),
        (8.0, 8),
        (1e15, 10**15),
        (0, None),
        (0.0, None),
        (-8, None),
        (8.5, None),
        (None, None),
        (True, None),
        ("8", None),
        ([8], None),
    ],
)
def test_total_size(tmp_path: Path, noted: object, total: int | None) -> None:
    assert indexed(tmp_path, metadata={"total_size": noted}).total_size == total


@pytest.mark.parametrize("fields", [{"metadata": None}, {"metadata": {}}, {"extra": [1]}])
def test_metadata_may_be_absent(tmp_path: Path, fields: dict[str, Any]) -> None:
    index = indexed(tmp_path, **fields)
    assert index.shards == [SHARD]
    assert index.total_parameters is None


def test_metadata_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text('{"weight_map": {"a": "b.safetensors", "b": "b.safetensors", "c": "a.safetensors"}}')
    index = read_index(path)
    assert (index.total_size, index.shards) == (None, ["a.safetensors", "b.safetensors"])


@pytest.mark.parametrize(
    "shard",
    ["../x.safetensors", "sub/../../x", "..", "/etc/passwd", "//x", "a\\..\\b", "C:x", "C:\\x", "a\0b", ""],
)
def test_a_shard_outside_its_directory(tmp_path: Path, shard: str) -> None:
    path = write_index(tmp_path / "model.safetensors.index.json", {"a": SHARD, "b": shard})
    error = refused(path)
    assert error.code == "unsafe-path"
    assert repr(shard) in error.what


@pytest.mark.parametrize("shard", ["sub/x.safetensors", "./x.safetensors", "x..safetensors", "..x", "模型.safetensors"])
def test_a_shard_inside_its_directory(tmp_path: Path, shard: str) -> None:
    assert read_index(write_index(tmp_path / "i.json", {"a": shard})).shards == [shard.removeprefix("./")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"weight_map"',
        b"{}",
        b'{"metadata": {}}',
        b'{"weight_map": []}',
        b'{"weight_map": null}',
        b'{"weight_map": {}}',
        b'{"weight_map": {"a": 1}}',
        b'{"weight_map": {"a": null}}',
        b'{"weight_map": {"a": ["x"]}}',
        b'{"weight_map": {"a": "x"}, "metadata": []}',
        b'{"weight_map": {"a": "x"}, "metadata": {"total_size": NaN}}',
        b'{"weight_map": {"a": "x"}, "metadata": {"total_size": 1e999}}',
        b'{"weight_map": {"a": "x"}} x',
        b'{"weight_map": {"a": "x"',
        b'{"weight_map": {"a": "\xff"}}',
        b'{"weight_map": {"a": "\\ud800"}}',
        b'{"weight_map": {"a": "x"}, "metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
    ids=lambda content: content[:60].decode("latin-1"),
)
def test_what_is_malformed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(content)
    error = refused(path)
    assert error.code == "malformed-index"
    assert error.hint


def test_what_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.touch()
    os.truncate(path, MAX_INDEX + 1)
    assert refused(path).code == "malformed-index"


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    os.mkfifo(path)
    assert refused(path).code == "malformed-index"


NAMES = ["a", "model.layers.0.mlp.up_proj.weight", "b{}", "c: d", "e, f", "é", 'g"h', "i\\j", "k\nl", "漢", "m" * 512]
SHARDS = ["x.safetensors", "y z", "a:b, c", "é", "./x.safetensors", "sub/x.safetensors", 's"t', "y z"]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n\t", " :  ")])
@pytest.mark.parametrize("plain", [True, False])
def test_the_shards_are_those_of_a_decoded_map(plain: bool, separators: tuple[str, str], tmp_path: Path) -> None:
    """Plain maps are not decoded to tell them; json is the oracle for both kinds."""
    rng = random.Random(0)
    path = tmp_path / "model.safetensors.index.json"
    for _ in range(200):
        shards = (
            [s for s in SHARDS if "/" not in s and ":" not in s and s.isascii() and '"' not in s] if plain else SHARDS
        )
        names = [f"{name}.{i}" for name in NAMES[: 5 if plain else 10] for i in range(rng.randrange(4))] or ["a"]
        places = {name: rng.choice([s for s in shards if ":" not in s]) for name in names}
        path.write_text(
            json.dumps({"weight_map": places}, ensure_ascii=rng.random() < 0.5, separators=separators), encoding="utf-8"
        )
        index = read_index(path)
        expected = {name: shard.removeprefix("./") for name, shard in places.items()}
        assert index.shards == sorted(set(expected.values()))
        if plain:
            assert index.places is None
        assert index.weight_map == expected


def test_a_name_that_is_there_twice_shows_when_the_map_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text('{"weight_map": {"a": "x", "b": "x", "a": "y"}}')
    index = read_index(path)
    assert index.shards == ["x", "y"]
    with pytest.raises(CheckpointError, match="gives 'a' twice") as caught:
        index.weight_map  # noqa: B018 - it is decoded
    assert caught.value.code == "malformed-index"


@pytest.mark.parametrize("written", ['"a": "x", "a": "x"', '"a": "x", "b": "x", "a": "y"'])
def test_check_finds_what_inspect_may_not_notice(written: str, tmp_path: Path, run: Any) -> None:
    write_safetensors(tmp_path / "x", "a", "b")
    write_safetensors(tmp_path / "y", "c")
    (tmp_path / "model.safetensors.index.json").write_text(
        f'{{"weight_map": {{"c": "y", {written}}}, "metadata": {{}}}}'
    )
    assert run("inspect", tmp_path)[0] == 0
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "malformed-index" in out
    assert "gives 'a' twice" in out


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("last", ["z.weight", "é.weight"])
def test_how_much_lies_in_each_shard(separators: tuple[str, str], last: str, tmp_path: Path) -> None:
    """Told without decoding where all is ASCII; it says how much of a remote header to fetch."""
    places = {"a.weight": "x", "bb.weight": "x", "ccc.weight": "y", "d": "x", last: "y"}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": places}, ensure_ascii=False, separators=separators), encoding="utf-8")
    index = read_index(path)
    assert (index.places is None) == last.isascii()
    assert index.counts() == {"x": (3, 8 + 9 + 1), "y": (2, 10 + 8)}
