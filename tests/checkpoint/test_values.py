"""Values against what safetensors and torch themselves read from the same files, whole and in slices."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from tests.helpers import read_safetensors, safetensors_bytes
from weightscope.checkpoint.entry import FileHeader
from weightscope.checkpoint.pytorch import read_pytorch
from weightscope.checkpoint.spans import read_bytes
from weightscope.checkpoint.values import gather_torch, load_numpy, load_torch, read_numpy, read_torch
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, WeightscopeError

# torch dtype of every format dtype that torch has, and the NumPy dtype that must hold the same bits.
DTYPES = {
    "BOOL": (torch.bool, np.bool_),
    "U8": (torch.uint8, np.uint8),
    "I8": (torch.int8, np.int8),
    "U16": (torch.uint16, np.uint16),
    "I16": (torch.int16, np.int16),
    "U32": (torch.uint32, np.uint32),
    "I32": (torch.int32, np.int32),
    "U64": (torch.uint64, np.uint64),
    "I64": (torch.int64, np.int64),
    "F16": (torch.float16, np.float16),
    "BF16": (torch.bfloat16, ml_dtypes.bfloat16),
    "F32": (torch.float32, np.float32),
    "F64": (torch.float64, np.float64),
    "C64": (torch.complex64, np.complex64),
    "F8_E5M2": (torch.float8_e5m2, ml_dtypes.float8_e5m2),
    "F8_E4M3": (torch.float8_e4m3fn, ml_dtypes.float8_e4m3fn),
    "F8_E8M0": (torch.float8_e8m0fnu, ml_dtypes.float8_e8m0fnu),
    "F8_E4M3FNUZ": (torch.float8_e4m3fnuz, ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2FNUZ": (torch.float8_e5m2fnuz, ml_dtypes.float8_e5m2fnuz),
}
INDICES = [
    ...,
    0,
    -1,
    slice(1, 3),
    slice(None, None, 2),
    slice(0, 0),
    (1, 2),
    (..., 0),
    (slice(None), slice(1, None)),
    (2, ...),
    [3, 1],
]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_index = pytest.mark.parametrize("index", INDICES, ids=repr)


def raw(tensor: torch.Tensor) -> list[int]:
    """The bytes of a tensor, which compare where NaN and 4-bit floats do not."""
    values: list[int] = tensor.contiguous().reshape(-1).view(torch.uint8).tolist()
    return values


def sample(dtype: str, shape: tuple[int, ...] = (4, 3)) -> torch.Tensor:
    """Random bytes, or random truth."""
    kind = DTYPES[dtype][0]
    generator = torch.Generator().manual_seed(7)
    if kind is torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    size = int(np.prod(shape)) * kind.itemsize
    return torch.randint(0, 256, (size,), dtype=torch.uint8, generator=generator).view(kind).reshape(shape)


def saved(path: Path, **tensors: torch.Tensor) -> FileHeader:
    safetensors.torch.save_file(tensors, path)
    return read_safetensors(path)


def numpy_of(header: FileHeader, name: str = "t", index: Any = ...) -> np.ndarray[Any, Any]:
    return read_numpy([header], header.tensors[name], index)


def torch_of(header: FileHeader, name: str = "t", index: Any = ...) -> torch.Tensor:
    return read_torch([header], header.tensors[name], index)


@every_dtype
def test_torch_against_safetensors(tmp_path: Path, dtype: str) -> None:
    header = saved(tmp_path / "model.safetensors", t=sample(dtype))
    with safetensors.safe_open(header.path, "pt") as file:
        expected = file.get_tensor("t")
    found = torch_of(header)
    assert header.tensors["t"].dtype == dtype
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert raw(found) == raw(expected) == raw(sample(dtype))


@every_dtype
def test_numpy_against_torch(tmp_path: Path, dtype: str) -> None:
    header = saved(tmp_path / "model.safetensors", t=sample(dtype))
    found = numpy_of(header)
    assert (found.dtype, found.shape) == (np.dtype(DTYPES[dtype][1]), (4, 3))
    assert found.tobytes() == bytes(raw(sample(dtype)))
    assert not found.flags.writeable


@pytest.mark.parametrize("dtype", ["F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "BF16", "F16"])
def test_the_same_bits_are_the_same_numbers(tmp_path: Path, dtype: str) -> None:
    header = saved(tmp_path / "model.safetensors", t=torch.arange(256, dtype=torch.uint8).view(DTYPES[dtype][0]))
    np.testing.assert_array_equal(numpy_of(header).astype(np.float32), torch_of(header).float().numpy())


@every_index
def test_slices_of_safetensors(tmp_path: Path, index: Any) -> None:
    tensor = torch.arange(12, dtype=torch.float32).reshape(4, 3)
    header = saved(tmp_path / "model.safetensors", first=torch.ones(5), t=tensor)
    array = numpy_of(header, index=index)
    assert torch.equal(torch_of(header, index=index), tensor[index])
    np.testing.assert_array_equal(array, tensor.numpy()[index])
    assert isinstance(array, np.ndarray)
    assert not array.flags.writeable


@pytest.mark.parametrize("index", [slice(1, 3), (slice(None), slice(0, 2)), slice(2, 2)], ids=repr)
def test_slices_against_safe_open(tmp_path: Path, index: Any) -> None:
    header = saved(tmp_path / "model.safetensors", t=sample("BF16"))
    with safetensors.safe_open(header.path, "pt") as file:
        expected = file.get_slice("t")[index]
    assert raw(torch_of(header, index=index)) == raw(expected)


VIEWS = {
    "transposed": torch.arange(12.0).reshape(3, 4).T,
    "every other": torch.arange(24.0).reshape(4, 6)[:, ::2],
    "expanded": torch.arange(3.0).expand(4, 3),
    "in the middle": torch.arange(20.0)[5:17].reshape(4, 3),
    "diagonal": torch.arange(36.0).reshape(3, 3, 4).as_strided((4, 3), (1, 10), 2),
    "bfloat16": torch.arange(12).reshape(3, 4).T.to(torch.bfloat16),
}


@pytest.mark.parametrize("newer", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.filterwarnings("ignore")
def test_views_of_pytorch_files(tmp_path: Path, view: str, newer: bool) -> None:
    path = tmp_path / "model.bin"
    torch.save({"t": VIEWS[view]}, path, _use_new_zipfile_serialization=newer)
    expected = torch.load(path, weights_only=True)["t"]
    header = read_pytorch(path)
    for index in INDICES:
        assert torch.equal(torch_of(header, index=index), expected[index])
        array = numpy_of(header, index=index)
        np.testing.assert_array_equal(array.astype(np.float32), expected[index].float().numpy())
        assert not array.flags.writeable


@pytest.mark.parametrize("dtype", ["complex32", "complex128"])
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_complex_types_of_pytorch_files(tmp_path: Path, dtype: str) -> None:
    tensor = torch.arange(4).to(getattr(torch, dtype)) * 2j
    torch.save({"t": tensor}, tmp_path / "model.bin")
    header = read_pytorch(tmp_path / "model.bin")
    assert raw(torch_of(header)) == raw(tensor)
    if dtype == "complex128":
        np.testing.assert_array_equal(numpy_of(header), tensor.numpy())
    else:
        with pytest.raises(NotImplementedByWeightscope, match="NumPy has no dtype for C32"):
            numpy_of(header)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), ()])
@pytest.mark.parametrize("dtype", ["F32", "BF16", "BOOL"])
def test_empty_tensors_and_scalars(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    tensor = sample(dtype, shape)
    header = saved(tmp_path / "model.safetensors", t=tensor)
    assert torch_of(header).shape == numpy_of(header).shape == shape
    assert torch_of(header).dtype == tensor.dtype
    assert numpy_of(header).tobytes() == bytes(raw(tensor))


@pytest.mark.parametrize("pad", range(8))
@pytest.mark.parametrize("dtype", ["F32", "I64", "C64", "BF16"])
def test_data_that_is_not_aligned(tmp_path: Path, pad: int, dtype: str) -> None:
    """Writers before safetensors 0.3 did not pad the header."""
    tensor = sample(dtype)
    data = bytes(raw(tensor))
    header_text = f'{{"t":{{"dtype":"{dtype}","shape":[4,3],"data_offsets":[0,{len(data)}]}}}}' + " " * pad
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes(header_text, data))
    header = read_safetensors(path)
    for index in (..., 1, (slice(None), 2)):
        found = torch_of(header, index=index)
        assert raw(found) == raw(tensor[index])
        assert found.data_ptr() % tensor.dtype.itemsize == 0
        assert numpy_of(header, index=index).tobytes() == bytes(raw(tensor[index]))


def packed(path: Path, dtype: str, shape: list[int], data: bytes) -> FileHeader:
    fields = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    path.write_bytes(safetensors_bytes({"t": fields}, data))
    return read_safetensors(path)


# OCP Microscaling Formats 1.0, table 5: the sixteen values of E2M1, by bit pattern.
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]


def test_four_bit_floats_are_unpacked(tmp_path: Path) -> None:
    data = bytes(low | high << 4 for low, high in zip(range(0, 16, 2), range(1, 16, 2), strict=True))
    header = packed(tmp_path / "model.safetensors", "F4", [4, 4], data)
    found = numpy_of(header)
    assert found.dtype == ml_dtypes.float4_e2m1fn
    assert found.astype(float).reshape(-1).tolist() == E2M1
    assert numpy_of(header, index=(2, slice(1, 3))).astype(float).tolist() == [-0.5, -1]


def test_four_bit_floats_of_torch(tmp_path: Path) -> None:
    pairs = torch.arange(8, dtype=torch.uint8).reshape(4, 2).view(torch.float4_e2m1fn_x2)
    header = saved(tmp_path / "model.safetensors", t=pairs)
    assert (header.tensors["t"].dtype, header.tensors["t"].shape) == ("F4", (4, 4))
    found = torch_of(header)
    assert (found.dtype, found.shape) == (pairs.dtype, pairs.shape)
    assert found.view(torch.uint8).tolist() == pairs.view(torch.uint8).tolist()
    assert torch_of(header, index=slice(1, 3)).view(torch.uint8).tolist() == [[2, 3], [4, 5]]


# OCP Microscaling Formats 1.0, section 5.3: four values in three bytes, lowest bits first.
SIX_BITS = {
    "F6_E2M3": [0b000001, 0b011111, 0b100000, 0b001000],
    "F6_E3M2": [0b000001, 0b011111, 0b100000, 0b001100],
}
SIX_BIT_VALUES = {"F6_E2M3": [0.125, 7.5, -0.0, 1.0], "F6_E3M2": [0.0625, 28.0, -0.0, 1.0]}


@pytest.mark.parametrize("dtype", SIX_BITS)
def test_six_bit_floats_are_unpacked(tmp_path: Path, dtype: str) -> None:
    a, b, c, d = SIX_BITS[dtype]
    data = (a | b << 6 | c << 12 | d << 18).to_bytes(3, "little")
    header = packed(tmp_path / "model.safetensors", dtype, [2, 2], data)
    assert numpy_of(header).astype(float).reshape(-1).tolist() == SIX_BIT_VALUES[dtype]
    with pytest.raises(NotImplementedByWeightscope, match=f"torch has no dtype for {dtype}"):
        torch_of(header)


def test_an_odd_row_of_four_bit_floats_is_not_for_torch(tmp_path: Path) -> None:
    header = packed(tmp_path / "model.safetensors", "F4", [2, 1], b"\x21")
    assert numpy_of(header).astype(float).tolist() == [[0.5], [1.0]]
    with pytest.raises(NotImplementedByWeightscope, match="torch has no dtype for F4"):
        torch_of(header)


def test_writing_changes_memory_and_never_the_file(tmp_path: Path) -> None:
    header = saved(tmp_path / "model.safetensors", t=torch.zeros(1000))
    before = (header.path.stat().st_mtime_ns, hashlib.sha256(header.path.read_bytes()).digest())
    tensor = torch_of(header)
    tensor.fill_(7)
    assert tensor.sum() == 7000
    del tensor
    assert (header.path.stat().st_mtime_ns, hashlib.sha256(header.path.read_bytes()).digest()) == before
    assert torch_of(header).sum() == 0
    with pytest.raises(ValueError, match="read-only"):
        numpy_of(header)[0] = 7


@pytest.mark.parametrize("read", [numpy_of, torch_of])
@pytest.mark.parametrize("left", [0, 8, 100])
def test_a_file_that_shrank(tmp_path: Path, read: Any, left: int) -> None:
    header = saved(tmp_path / "model.safetensors", t=torch.zeros(100_000))
    os.truncate(header.path, left)
    with pytest.raises(CheckpointError) as caught:
        read(header)
    assert caught.value.code == "truncated-file"
    assert str(header.path) in str(caught.value)


@pytest.mark.parametrize("read", [numpy_of, torch_of])
def test_a_file_that_went(tmp_path: Path, read: Any) -> None:
    header = saved(tmp_path / "model.safetensors", t=torch.zeros(4))
    header.path.unlink()
    with pytest.raises(CheckpointError, match="No such file"):
        read(header)


def test_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = saved(tmp_path / "model.safetensors", t=torch.ones(4))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(WeightscopeError, match=r"install weightscope-cli\[forward\]"):
        torch_of(header)
    assert numpy_of(header).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("read", "rows"), [(numpy_of, 5_000_000), (torch_of, 1_000_000)])
def test_one_row_of_a_huge_file(tmp_path: Path, read: Any, rows: int) -> None:
    """20 GB for NumPy; 4 GB for torch, whose private mapping some systems count against their memory."""
    fields = {"dtype": "F32", "shape": [rows, 1024], "data_offsets": [0, rows * 4096]}
    path = tmp_path / "model.safetensors"
    start = safetensors_bytes({"t": fields})
    with path.open("wb") as file:
        file.write(start)
        file.seek(len(start) + (rows - 2) * 4096)
        file.write(np.ones(1024, "<f4").tobytes())
        file.truncate(len(start) + rows * 4096)
    header = read_safetensors(path)
    tracemalloc.start()
    started = time.process_time()
    try:
        row = read(header, index=-2)
        total = float(row.sum())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 1
    assert peak < 1_000_000
    assert (row.shape, total) == ((1024,), 1024.0)


def expanded(path: Path, shape: tuple[int, ...], newer: bool = True) -> FileHeader:
    """One number, shown as many."""
    torch.save({"t": torch.ones(1).expand(shape)}, path, _use_new_zipfile_serialization=newer)
    return read_pytorch(path)


@pytest.mark.parametrize("read", [numpy_of, torch_of, lambda header: load_torch([header], header.tensors["t"])])
def test_values_that_far_exceed_their_storage_are_refused(tmp_path: Path, read: Any) -> None:
    header = expanded(tmp_path / "model.bin", (1 << 31,))
    with pytest.raises(CheckpointError, match=r"8,589,934,592 bytes of values, repeated from 4 stored bytes") as caught:
        read(header)
    assert caught.value.code == "malformed-header"
    small = expanded(tmp_path / "model.bin", (1 << 12, 1 << 12))
    assert read(small).shape == (1 << 12, 1 << 12)


@pytest.mark.parametrize("view", VIEWS)
def test_whole_tensors_and_gathered_rows_in_memory_of_their_own(tmp_path: Path, view: str) -> None:
    torch.save({"t": VIEWS[view]}, tmp_path / "model.bin")
    expected = torch.load(tmp_path / "model.bin", weights_only=True)["t"]
    header = read_pytorch(tmp_path / "model.bin")
    place = [header], header.tensors["t"]
    np.testing.assert_array_equal(load_numpy(*place).astype(np.float32), expected.float().numpy())
    index = torch.tensor([[2, 0], [-1, 2]])
    assert torch.equal(gather_torch(*place, index), expected[index])
    with pytest.raises(IndexError):
        gather_torch(*place, torch.tensor([4]))


@every_dtype
def test_gathered_rows_of_every_dtype(tmp_path: Path, dtype: str) -> None:
    header = saved(tmp_path / "model.safetensors", t=sample(dtype))
    found = gather_torch([header], header.tensors["t"], torch.tensor([3, 1, 3]))
    assert raw(found) == raw(sample(dtype)[[3, 1, 3]])


@pytest.mark.parametrize("chunk", [1, 7, 400, 1000])
def test_bytes_in_chunks(tmp_path: Path, chunk: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 2)
    assert b"".join(part.tobytes() for part in read_bytes(path, 5, 405, chunk)) == path.read_bytes()[5:405]
    os.truncate(path, 404)
    with pytest.raises(CheckpointError, match="ends 1 bytes early"):
        list(read_bytes(path, 5, 405, chunk))
