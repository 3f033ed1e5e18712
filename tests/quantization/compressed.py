"""compressed-tensors' forms of one random matrix, laid out by the formats' own words in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.quantization.bench import Pack, Tensors

Array = np.ndarray[Any, Any]
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def words(codes: Array, bits: int) -> Array:
    """Codes of so many bits [rows, columns] in 32-bit words along the columns, the lowest bits first."""
    stream = ((codes[..., None] >> np.arange(bits)) & 1).astype(np.uint8).reshape(len(codes), -1)
    padded = np.pad(stream, ((0, 0), (0, -stream.shape[1] % 32)))
    packed: Array = np.packbits(padded, axis=1, bitorder="little").view("<i4")
    return packed


def tensors(**parts: Array) -> Tensors:
    return {f".{leaf}": torch.from_numpy(np.ascontiguousarray(part)) for leaf, part in parts.items()}


def _noise(module: str) -> np.random.Generator:
    return np.random.default_rng(list(module.encode()))


def _as_pack(make: Callable[[np.random.Generator, int, int], tuple[Tensors, Array]]) -> Pack:
    def pack(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        stored, dense = make(_noise(module), *shape)
        return stored, torch.from_numpy(dense.astype(np.float32))

    return pack


def packed(bits: int, group: int, *, zeros: bool = False, ordered: bool = False) -> Pack:
    """Packed integers in groups of columns; a group of 0 is a whole row."""

    def make(noise: np.random.Generator, rows: int, columns: int) -> tuple[Tensors, Array]:
        count, half = columns // (group or columns), 1 << (bits - 1)
        codes = noise.integers(0, 1 << bits, (rows, columns))
        scale = noise.uniform(0.1, 0.3, (rows, count)).astype(np.float32) / np.float32(half)
        index = np.repeat(np.arange(count, dtype=np.int32), columns // count)
        parts = {"weight_packed": words(codes, bits), "weight_scale": scale, "weight_shape": np.array([rows, columns])}
        zero = np.zeros((rows, count), np.int64)
        if zeros:
            zero = noise.integers(0, 1 << bits, (rows, count)) - half
            parts["weight_zero_point"] = words((zero + half).T, bits).T
        if ordered:
            index = noise.permutation(index)
            parts["weight_g_idx"] = index
        dense = (codes - half - zero[:, index]).astype(np.float32) * scale[:, index]
        return tensors(**parts), dense

    return _as_pack(make)


def floats(grain: str, *, static: bool = False) -> Pack:
    """8-bit floats with a scale for the matrix or for each row."""

    def make(noise: np.random.Generator, rows: int, columns: int) -> tuple[Tensors, Array]:
        codes = noise.integers(0, 0x7F, (rows, columns)) | (noise.integers(0, 2, (rows, columns)) << 7)
        weight = torch.from_numpy(codes.astype(np.uint8)).view(torch.float8_e4m3fn)
        scale = noise.uniform(1e-3, 3e-3, (1,) if grain == "tensor" else (rows, 1)).astype(np.float32)
        stored = {".weight": weight} | tensors(weight_scale=scale)
        if static:
            stored[".input_scale"] = torch.tensor([0.03])
        return stored, weight.float().numpy() * scale

    return _as_pack(make)


def integers() -> Pack:
    """Int8 with a scale for each row."""

    def make(noise: np.random.Generator, rows: int, columns: int) -> tuple[Tensors, Array]:
        codes = noise.integers(-128, 128, (rows, columns)).astype(np.int8)
        scale = noise.uniform(1e-3, 3e-3, (rows, 1)).astype(np.float32)
        return tensors(weight=codes, weight_scale=scale), codes.astype(np.float32) * scale

    return _as_pack(make)


def fp4(*, exponents: bool) -> Pack:
    """NVFP4 in groups of 16, divided by a scale of all, or MXFP4 in groups of 32."""

    def make(noise: np.random.Generator, rows: int, columns: int) -> tuple[Tensors, Array]:
        group = 32 if exponents else 16
        codes = noise.integers(0, 16, (rows, columns))
        parts = {"weight_packed": (codes[:, ::2] | (codes[:, 1::2] << 4)).astype(np.uint8)}
        if exponents:
            scale = noise.integers(120, 124, (rows, columns // group)).astype(np.uint8)
            stored = tensors(**parts, weight_scale=scale)
            factor = np.exp2(scale.astype(np.float32) - 127)
        else:
            narrow = torch.from_numpy(noise.uniform(20, 100, (rows, columns // group))).to(torch.float8_e4m3fn)
            whole = np.array([900.0], np.float32)
            stored = tensors(**parts, weight_global_scale=whole) | {".weight_scale": narrow}
            factor = narrow.float().numpy() / whole
        return stored, E2M1[codes] * np.repeat(factor, group, 1)

    return _as_pack(make)
