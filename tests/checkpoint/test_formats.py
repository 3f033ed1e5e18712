"""What a file is, is told by its first bytes, whatever it is called; what is something else is called by its name."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch.package.package_exporter import PackageExporter

from weightscope.checkpoint.header import read_header
from weightscope.checkpoint.reader import open_checkpoint
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, WeightscopeError

pytestmark = pytest.mark.filterwarnings("ignore")

T = torch.arange(6.0).reshape(2, 3)
NAMES = ("best.ckpt", "best.pth.tar", "best.pt.tar", "weights", "model.jit", "model.weights", "net.params", "a.b.c")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_file_of_any_name(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if kind == "safetensors":
        safetensors.torch.save_file({"a": T}, path)
    else:
        torch.save({"a": T}, path, _use_new_zipfile_serialization=kind == "zip")
    checkpoint = open_checkpoint(path)
    assert checkpoint.format == ("safetensors" if kind == "safetensors" else "pytorch")
    assert checkpoint.tensors["a"].shape == (2, 3)


@pytest.mark.parametrize("name", ["best.ckpt", "checkpoint.pth.tar"])
def test_a_folder_of_one_such_file(name: str, tmp_path: Path) -> None:
    torch.save({"a": T}, tmp_path / name)
    assert list(open_checkpoint(tmp_path).tensors) == ["a"]


@pytest.mark.parametrize(
    ("name", "content"), [("notes.md", b"# Notes\nof mine"), ("README", b""), ("a.dat", b"\0" * 99)]
)
def test_what_was_never_called_weights_is_not_read(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotImplementedByWeightscope, match="unsupported file type"):
        open_checkpoint(tmp_path / name)


def script(path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))  # type: ignore[no-untyped-call]


def exported(path: Path) -> None:
    with path.with_suffix(".pt2").open("wb") as file:
        torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), file)
    path.with_suffix(".pt2").rename(path)


def packaged(path: Path) -> None:
    with PackageExporter(str(path)) as file:
        file.save_pickle("model", "model.pkl", {"a": T})


def npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.ones(3), b=np.ones(2))


def npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model.safetensors", b"")


def tarred(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("model.bin"), io.BytesIO())


# As faster-whisper's `model.bin` begins.
WHISPER = b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0\x94\0\0\0"
OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "TorchScript": (script, "a TorchScript archive"),
    "torch.export": (exported, r"an archive of torch\.export"),
    "torch.package": (packaged, r"an archive of torch\.package"),
    "npz": (npz, r"a NumPy \.npz archive"),
    "npy": (npy, "a NumPy array"),
    "zip": (zipped, "a zip archive with no data.pkl"),
    "tar": (tarred, r"a tar archive of other files \(model\.bin\)"),
    "gzip": (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(20)), "compressed with gzip"),
    "zstd": (lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20)), "compressed with Zstandard"),
    "gguf": (lambda path: path.write_bytes(b"GGUF" + bytes(20)), "a GGUF file"),
    "ggml": (lambda path: path.write_bytes(b"lmgg" + bytes(20)), "a GGML file, of a format before GGUF"),
    "ctranslate2": (lambda path: path.write_bytes(WHISPER + bytes(20)), r"a model of CTranslate2"),
    "hdf5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20)), "an HDF5 file"),
}


@pytest.mark.parametrize("name", ["model.pt", "model.jit", "model.pth.tar", "model"])
@pytest.mark.parametrize(("write", "message"), OTHERS.values(), ids=OTHERS)
def test_what_is_something_else_is_named(
    write: Callable[[Path], object], message: str, name: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(WeightscopeError, match=message) as raised:
        open_checkpoint(tmp_path / name)
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize("before", [b" ", b"\n\t ", b"\r\n"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
def test_white_space_before_a_header(before: bytes, name: str, tmp_path: Path) -> None:
    header = before + json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(4)
    assert safetensors.deserialize(data)[0][0] == "a"  # type: ignore[no-untyped-call]
    (tmp_path / name).write_bytes(data)
    read = read_header(tmp_path / name)
    assert (read.format, read.data_start) == ("safetensors", 8 + len(header))
    assert read.tensors["a"].data_offsets == (0, 4)


@pytest.mark.parametrize("before", [b"\x0b", b"\xef\xbb\xbf", b"\0"])
def test_what_the_reference_reader_refuses_before_a_header(before: bytes, tmp_path: Path) -> None:
    header = before + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    data = struct.pack("<Q", len(header)) + header + bytes(4)
    with pytest.raises(safetensors.SafetensorError):
        safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError):
        read_header(tmp_path / "model.safetensors")
