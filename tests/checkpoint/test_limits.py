"""What bounds a checkpoint, from both sides: what lies at the limit is read, one more is refused in a line."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import F32, FOUR_BYTES, read_safetensors, safetensors_bytes, write_index, write_safetensors
from weightscope.api.opening import open_model
from weightscope.checkpoint import index, limits, pytorch_weights, pytorch_zip, safetensors
from weightscope.checkpoint.index import read_index
from weightscope.checkpoint.pytorch import read_pytorch
from weightscope.checkpoint.reader import open_checkpoint
from weightscope.errors import CheckpointError

INDEX = "model.safetensors.index.json"


def refused(path: Path, words: str) -> str | None:
    with pytest.raises(CheckpointError, match=words) as raised:
        open_model(path).summary()
    return raised.value.code


def test_the_length_of_a_name(tmp_path: Path) -> None:
    longest = "n" * limits.MAX_NAME
    path = write_safetensors(tmp_path / "model.safetensors", "a", longest)
    assert longest in open_checkpoint(path).tensors
    write_safetensors(path, "a", longest + "n")
    assert refused(path, "a tensor's name has 513 characters, 'nnn") == "malformed-header"
    torch.save({longest: torch.ones(1)}, tmp_path / "a.bin")
    assert longest in open_checkpoint(tmp_path / "a.bin").tensors
    torch.save({longest + "n": torch.ones(1)}, tmp_path / "a.bin")
    assert refused(tmp_path / "a.bin", "a tensor's name has 513 characters") == "malformed-header"


def test_the_length_of_names_in_an_index(tmp_path: Path) -> None:
    longest = "n" * limits.MAX_NAME
    assert read_index(write_index(tmp_path / INDEX, {longest: longest})).shards == [longest]
    for places in ({longest + "n": "b"}, {"a": longest + "n"}):
        assert refused(write_index(tmp_path / INDEX, places), "name has 513 characters") == "malformed-index"


def test_tensors_of_all_files_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        write_safetensors(tmp_path / f"model-0000{number}-of-00002.safetensors", f"a{number}", f"b{number}")
    monkeypatch.setattr(limits, "MAX_TENSORS", 4)
    assert len(open_checkpoint(tmp_path).tensors) == 4
    monkeypatch.setattr(limits, "MAX_TENSORS", 3)
    assert refused(tmp_path, r"00002-of-00002.safetensors: this file brings .* over 3 tensors") == "malformed-header"


def test_headers_of_all_files_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_safetensors(tmp_path / "model.safetensors", "a")
    size = path.stat().st_size - 4
    monkeypatch.setattr(limits, "MAX_HEADERS", size)
    open_checkpoint(path)
    monkeypatch.setattr(limits, "MAX_HEADERS", size - 1)
    assert refused(path, "this file brings all headers to over") == "malformed-header"


def test_one_file_under_many_names_of_an_index_is_one(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x.safetensors", "a", "b", "c")
    write_index(tmp_path / INDEX, {"a": "x.safetensors", "b": "./x.safetensors", "c": ".//./x.safetensors"})
    opened = open_checkpoint(tmp_path)
    assert [file.path.name for file in opened.files] == ["x.safetensors"]
    assert opened.findings == []


def test_shards_of_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_index(tmp_path / INDEX, {"a": "x", "b": "y"})
    monkeypatch.setattr(index, "MAX_SHARDS", 2)
    assert len(read_index(path).shards) == 2
    monkeypatch.setattr(index, "MAX_SHARDS", 1)
    assert refused(path, "names 2 shards; the limit is 1") == "malformed-index"


def test_tensors_of_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_index(tmp_path / INDEX, {"a": "x", "b": "y"}, metadata={})
    monkeypatch.setattr(index, "UNCOUNTED", 0)
    monkeypatch.setattr(index, "SPARE", 4)
    monkeypatch.setattr(index, "MAX_TENSORS", 2)
    assert len(read_index(path).weight_map) == 2
    monkeypatch.setattr(index, "MAX_TENSORS", 1)
    assert refused(path, "names more than 1 tensors") == "malformed-index"


def test_values_of_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`{"a": {…, [1], [0, 4]}}` has two objects, two arrays and three commas."""
    path = write_safetensors(tmp_path / "model.safetensors", "a")
    monkeypatch.setattr(safetensors, "UNCOUNTED", 0)
    monkeypatch.setattr(safetensors, "MAX_VALUES", 7)
    assert len(read_safetensors(path).tensors) == 1
    monkeypatch.setattr(safetensors, "MAX_VALUES", 6)
    assert refused(path, "the header holds 7 values; the limit is 6") == "malformed-header"


def test_values_of_a_header_that_is_decoded_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes(json.dumps({"a": F32, "__metadata__": None}), FOUR_BYTES))
    monkeypatch.setattr(safetensors, "UNCOUNTED", 0)
    monkeypatch.setattr(safetensors, "MAX_UNUSUAL", 8)
    assert len(read_safetensors(path).tensors) == 1
    monkeypatch.setattr(safetensors, "MAX_UNUSUAL", 7)
    assert refused(path, "its 8 values are too many to say where") == "malformed-header"


@pytest.mark.parametrize("kind", ["file", "index"])
def test_kinds_of_names_that_nothing_declares(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a.0", "a.1", "b", "c"]
    if kind == "file":
        path = write_safetensors(tmp_path / "model.safetensors", *names)
    else:
        path = write_index(tmp_path / INDEX, dict.fromkeys(names, "x"))
    monkeypatch.setattr("weightscope.analyses.inferred.MAX_KINDS", 3)
    assert open_model(path).summary().tensors.total == 4
    monkeypatch.setattr("weightscope.analyses.inferred.MAX_KINDS", 2)
    assert refused(path, f"{path.name}: has over 2 different names of undeclared tensors") == "malformed-header"


def test_members_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    torch.save({"a": torch.ones(1)}, path)
    members = len(zipfile.ZipFile(path).namelist())
    monkeypatch.setattr(pytorch_zip, "MAX_MEMBERS", members)
    read_pytorch(path)
    monkeypatch.setattr(pytorch_zip, "MAX_MEMBERS", members - 1)
    assert refused(path, f"zip directory of {members} members") == "malformed-header"


@pytest.mark.parametrize("repeats", [10, 2_000_000])
def test_how_much_a_pickle_is_packed(tmp_path: Path, repeats: int) -> None:
    path = tmp_path / "a.bin"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", pickle.dumps({"a": "x" * repeats}, 2), zipfile.ZIP_DEFLATED)
    assert refused(path, "more than 100 times" if repeats > 10 else "contains no tensors") == "malformed-header"


def test_containers_of_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    torch.save({"model": {"a": torch.ones(1)}, "other": [[1], [2], []]}, path)
    # The dict itself, two in it, and two that are not empty in one of these.
    monkeypatch.setattr(pytorch_weights, "MAX_CONTAINERS", 5)
    assert list(read_pytorch(path).tensors) == ["a"]
    monkeypatch.setattr(pytorch_weights, "MAX_CONTAINERS", 4)
    assert refused(path, "more than 4 lists, tuples and mappings") == "malformed-header"


def test_keys_of_a_pickle_that_are_no_unicode(tmp_path: Path, run: Any) -> None:
    """Beside the model they are named in words, as a tensor's name they are refused."""
    path = tmp_path / "pytorch_model.bin"
    torch.save({"model": {"a": torch.ones(1)}, "optimizer\ud800": {"b": torch.ones(1)}}, path)
    for kind in ("json", "csv", "markdown", "table"):
        code, out, err = run("inspect", path, "--format", kind)
        assert (code, err) == (0, "")
        out.encode()
    assert [part.tensors for part in read_pytorch(path).rest.values()] == [1]
    torch.save({"a\ud800": torch.ones(1)}, path)
    assert refused(path, "text that is not Unicode") == "malformed-header"
