"""Block types against the gguf library, which is llama.cpp's own."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter

import weightscope
from weightscope.checkpoint.blocks.decode import READERS, decode
from weightscope.checkpoint.dtypes import BLOCKS, byte_size
from weightscope.checkpoint.values import gather_torch, load_numpy, load_torch

# Types that the library lacks or only names.
WITHOUT_ORACLE = {"Q1_0", "Q2_0", "Q8_1", "Q8_K"}
RNG = np.random.default_rng(0)


def of_blocks(name: str, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Any bytes at all are blocks; some of them have scales that are no number."""
    return RNG.integers(0, 256, (count, BLOCKS[name].bytes), dtype=np.uint8)


def decoded(name: str, raw: bytes | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    flat = np.frombuffer(raw, np.uint8) if isinstance(raw, bytes) else raw.reshape(-1)
    out = np.empty(len(flat) // BLOCKS[name].bytes * BLOCKS[name].weights, dtype=np.float32)
    decode(name, flat, out)
    return out


def test_sizes_are_llama_cpps() -> None:
    # Of Q8_1, which no file holds, older libraries have the two numbers as they were before they became 16 bits.
    theirs = {kind.name: size for kind, size in gguf.GGML_QUANT_SIZES.items() if size[0] > 1 and kind.name != "Q8_1"}
    assert {name: (block.weights, block.bytes) for name, block in BLOCKS.items() if name in theirs} == theirs
    assert READERS.keys() == BLOCKS.keys()
    assert byte_size("Q4_K", (2, 256)) == 288


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
@pytest.mark.parametrize("name", sorted(READERS.keys() - WITHOUT_ORACLE))
def test_values_are_the_librarys(name: str) -> None:
    kind = getattr(GGMLQuantizationType, name, None)
    if kind is None:
        pytest.skip(f"this gguf library does not have {name}")
    raw = of_blocks(name, 3000)
    np.testing.assert_array_equal(decoded(name, raw), gguf.dequantize(raw, kind).reshape(-1))


@pytest.mark.parametrize(
    ("name", "raw", "start"),
    [
        # A scale of 0.5, and the codes 1, 0, 1, 1, …
        ("Q1_0", struct.pack("<e", 0.5) + b"\x0d" * 16, [0.5, -0.5, 0.5, 0.5, -0.5]),
        # The codes 3, 2, 1, 0, less one.
        ("Q2_0", struct.pack("<e", 0.5) + b"\x1b" * 16, [1.0, 0.5, 0.0, -0.5, 1.0]),
        ("Q8_1", struct.pack("<ee", 0.5, 9.0) + bytes([4, 255] * 16), [2.0, -0.5, 2.0]),
        ("Q8_K", struct.pack("<f", 0.25) + bytes([4, 255] * 128) + bytes(32), [1.0, -0.25, 1.0]),
    ],
)
def test_types_that_the_library_lacks(name: str, raw: bytes, start: list[float]) -> None:
    assert decoded(name, raw)[: len(start)].tolist() == start


def test_rows_of_a_tensor_are_read_alone(tmp_path: Path) -> None:
    path, raw = tmp_path / "model.gguf", RNG.integers(0, 40, (2, 3, 2 * 20), dtype=np.uint8)
    writer = GGUFWriter(path, "none")
    writer.add_tensor("a.weight", raw, raw_dtype=GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = weightscope.open(path)
    tensor = model.tensors["a.weight"]
    assert (tensor.dtype, tensor.shape) == ("Q4_1", (2, 3, 64))
    whole = gguf.dequantize(raw, GGMLQuantizationType.Q4_1)
    np.testing.assert_array_equal(tensor.numpy(), whole)
    np.testing.assert_array_equal(tensor.numpy(1), whole[1])
    np.testing.assert_array_equal(tensor.torch().numpy(), whole)
    files, entry = model.checkpoint.files, tensor.entry
    np.testing.assert_array_equal(load_numpy(files, entry, slice(1, 2)), whole[1:2])
    np.testing.assert_array_equal(load_torch(files, entry, slice(1, 2)).numpy(), whole[1:2])
    np.testing.assert_array_equal(gather_torch(files, entry, torch.tensor([1, 0, 1])).numpy(), whole[[1, 0, 1]])
