"""Whole checkpoints: what transformers saved is read tensor for tensor, and what is broken is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors
import torch
import transformers

from tests.helpers import write_index, write_safetensors
from weightscope.checkpoint.reader import Checkpoint, open_checkpoint
from weightscope.errors import CheckpointError, NotImplementedByWeightscope

SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"


def stored(directory: Path) -> dict[str, tuple[list[int], str, str]]:
    """Shape, dtype and file of every tensor, as safe_open says."""
    found = {}
    for path in sorted(directory.glob("*.safetensors")):
        with safetensors.safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                part = file.get_slice(name)
                found[name] = (part.get_shape(), part.get_dtype(), path.name)
    return found


def read(checkpoint: Checkpoint) -> dict[str, tuple[list[int], str, str]]:
    return {
        name: (list(entry.shape), entry.dtype, checkpoint.files[entry.file].path.name)
        for name, entry in checkpoint.tensors.items()
    }


def linked(source: Path, directory: Path) -> Path:
    """The files of `source` as the Hub's cache keeps them: links with the names, to blobs without."""
    blobs, snapshot = directory / "blobs", directory / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(source.iterdir())):
        (blobs / str(number)).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    return snapshot


def test_shards_of_transformers(sharded: Path, model: transformers.PreTrainedModel) -> None:
    seen: list[tuple[int, int, str]] = []
    checkpoint = open_checkpoint(sharded, progress=lambda *step: seen.append(step))
    assert read(checkpoint) == stored(sharded)
    assert checkpoint.names == set(model.state_dict())
    assert {n: tuple(t.shape) for n, t in model.state_dict().items()} == {
        n: e.shape for n, e in checkpoint.tensors.items()
    }
    assert (checkpoint.format, checkpoint.findings) == ("safetensors", [])
    assert seen == [(i, len(checkpoint.files), file.path.name) for i, file in enumerate(checkpoint.files)]


def test_shards_through_links(sharded: Path, tmp_path: Path) -> None:
    snapshot = linked(sharded, tmp_path)
    checkpoint = open_checkpoint(snapshot)
    assert read(checkpoint) == stored(sharded)
    assert checkpoint.index is not None
    assert checkpoint.index.path == snapshot / INDEX


def test_shards_without_their_index(sharded: Path, tmp_path: Path) -> None:
    for path in sharded.glob("*.safetensors"):
        (tmp_path / path.name).symlink_to(path)
    assert read(open_checkpoint(tmp_path)) == stored(sharded)


@pytest.mark.parametrize("name", ["model.safetensors", "model.fp16.safetensors"])
def test_one_file_of_transformers(model: transformers.PreTrainedModel, tmp_path: Path, name: str) -> None:
    variant = "fp16" if "fp16" in name else None
    model.save_pretrained(tmp_path, variant=variant)
    assert (tmp_path / name).is_file()
    checkpoint = open_checkpoint(tmp_path, variant=variant)
    assert read(checkpoint) == stored(tmp_path)
    assert checkpoint.location.config == tmp_path / "config.json"


def test_a_variant_in_shards_of_transformers(model: transformers.PreTrainedModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path, variant="fp16", max_shard_size="8KB")
    assert (tmp_path / "model.safetensors.index.fp16.json").is_file()
    checkpoint = open_checkpoint(tmp_path, variant="fp16")
    assert len(checkpoint.files) > 1
    assert read(checkpoint) == stored(tmp_path)
    with pytest.raises(CheckpointError, match="choose with --variant fp16"):
        open_checkpoint(tmp_path)


def test_a_missing_shard_is_a_finding(sharded: Path, tmp_path: Path) -> None:
    snapshot = linked(sharded, tmp_path)
    names = sorted(path.name for path in snapshot.glob("*.safetensors"))
    (snapshot / names[1]).resolve().unlink()
    checkpoint = open_checkpoint(snapshot)
    assert checkpoint.names == {name for name, (*_, file) in stored(sharded).items() if file != names[1]}
    (finding,) = checkpoint.findings
    assert (finding.code, finding.severity) == ("missing-shard", "error")
    assert f"1 of {len(names)} shards that {INDEX} names are missing: {names[1]}" in finding.message


def test_every_shard_missing_is_a_finding(sharded: Path, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes((sharded / INDEX).read_bytes())
    checkpoint = open_checkpoint(tmp_path)
    assert [finding.code for finding in checkpoint.findings] == ["missing-shard"]
    assert checkpoint.tensors == {}
    assert open_checkpoint(tmp_path / INDEX).names == set(stored(sharded))
    assert open_checkpoint(tmp_path / INDEX).findings == []


def test_a_tensor_in_two_shards_is_a_finding(tmp_path: Path) -> None:
    write_safetensors(tmp_path / SHARDS[0], "a", "b")
    write_safetensors(tmp_path / SHARDS[1], "b", "c")
    write_index(tmp_path / INDEX, {"a": SHARDS[0], "b": SHARDS[0], "c": SHARDS[1]})
    (finding,) = open_checkpoint(tmp_path).findings
    assert (finding.code, finding.tensors) == ("duplicate-tensor", ("b",))
    assert f"{SHARDS[1]} contains 1 tensor that {SHARDS[0]} contains too: b" in finding.message


@pytest.mark.parametrize("newer", [True, False], ids=["zip", "legacy"])
def test_a_pytorch_file_called_safetensors(tmp_path: Path, newer: bool) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "model.safetensors", _use_new_zipfile_serialization=newer)
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.format, checkpoint.names) == ("pytorch", {"a"})
    (finding,) = checkpoint.findings
    assert (finding.code, finding.severity) == ("malformed-header", "warning")
    assert "model.safetensors contains pytorch data" in finding.message
    assert "rename the file to model.bin" in finding.hint


def test_a_safetensors_file_called_bin(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "pytorch_model.bin", "a")
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.format, checkpoint.names) == ("safetensors", {"a"})
    (finding,) = checkpoint.findings
    assert "pytorch_model.bin contains safetensors data" in finding.message
    assert "rename the file to pytorch_model.safetensors" in finding.hint


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4\n"


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "truncated-file", "an empty file"),
        (LFS, "truncated-file", "a Git LFS pointer, not the weights; run `git lfs pull`"),
        (b"<!DOCTYPE html>\n<html></html>", "malformed-header", "an HTML page"),
        (b"\n  <!doctype HTML>", "malformed-header", "an HTML page"),
        (b"<html><body>", "malformed-header", "an HTML page"),
        (b'<?xml version="1.0"?><Error/>', "malformed-header", "text, not weights: it begins with '<?xml"),
        (b"Entry not found", "malformed-header", "text, not weights: it begins with 'Entry not found'"),
        (b'{"error":"Repository not found"}\n', "malformed-header", "text, not weights"),
        (bytes(1000), "malformed-header", ""),
    ],
)
def test_what_is_no_weight_file(tmp_path: Path, name: str, content: bytes, code: str, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(tmp_path)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(("start", "words"), [(b"GGUF\x01", "a GGUF file"), (b"\x89HDF\r\n\x1a\n", "an HDF5 file")])
def test_another_format_under_the_name(tmp_path: Path, start: bytes, words: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(start + bytes(100))
    with pytest.raises(NotImplementedByWeightscope, match=words):
        open_checkpoint(tmp_path)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("target", ["/dev/null", "/dev/zero"])
def test_a_device_is_not_read(tmp_path: Path, target: str) -> None:
    (tmp_path / "model.safetensors").symlink_to(target)
    with pytest.raises(CheckpointError, match="not a regular file"):
        open_checkpoint(tmp_path)


def test_a_directory_called_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a regular file"):
        open_checkpoint(tmp_path)


def test_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("nowhere")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: a broken symbolic link"):
        open_checkpoint(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("locked", ["model.safetensors", "."])
def test_what_may_not_be_read(tmp_path: Path, locked: str) -> None:
    write_safetensors(tmp_path / "model.safetensors", "a")
    (tmp_path / locked).chmod(0)
    try:
        with pytest.raises(CheckpointError, match="Permission denied"):
            open_checkpoint(tmp_path)
    finally:
        (tmp_path / locked).chmod(0o700)


def test_a_name_too_long_for_the_system(tmp_path: Path) -> None:
    write_index(tmp_path / INDEX, {"a": "x" * 300})
    with pytest.raises(CheckpointError, match="File name too long"):
        open_checkpoint(tmp_path)
