"""The element types a checkpoint can hold, by the names that the safetensors format gives them."""

from __future__ import annotations

from math import prod

import msgspec

# https://github.com/huggingface/safetensors, `Dtype` in safetensors/src/tensor.rs (0.8).
SAFETENSORS_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}

# PyTorch files hold two complex types that safetensors lacks.
DTYPE_BITS = SAFETENSORS_BITS | {"C32": 32, "C128": 128}
# What weights have that are not quantized.
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


class Block(msgspec.Struct, frozen=True):
    """How many weights of a row one block of a GGUF type holds, and the bytes that it takes."""

    weights: int
    bytes: int


# https://github.com/ggml-org/llama.cpp, `GGML_QUANT_SIZES` in gguf-py/gguf/constants.py.
BLOCKS = {
    "Q4_0": Block(32, 18),
    "Q4_1": Block(32, 20),
    "Q5_0": Block(32, 22),
    "Q5_1": Block(32, 24),
    "Q8_0": Block(32, 34),
    "Q8_1": Block(32, 36),
    "Q2_K": Block(256, 84),
    "Q3_K": Block(256, 110),
    "Q4_K": Block(256, 144),
    "Q5_K": Block(256, 176),
    "Q6_K": Block(256, 210),
    "Q8_K": Block(256, 292),
    "IQ2_XXS": Block(256, 66),
    "IQ2_XS": Block(256, 74),
    "IQ3_XXS": Block(256, 98),
    "IQ1_S": Block(256, 50),
    "IQ4_NL": Block(32, 18),
    "IQ3_S": Block(256, 110),
    "IQ2_S": Block(256, 82),
    "IQ4_XS": Block(256, 136),
    "IQ1_M": Block(256, 56),
    "TQ1_0": Block(256, 54),
    "TQ2_0": Block(256, 66),
    "MXFP4": Block(32, 17),
    "NVFP4": Block(64, 36),
    "Q1_0": Block(128, 18),
    "Q2_0": Block(64, 18),
}


def byte_size(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes that the values of one tensor take."""
    block = BLOCKS.get(dtype)
    if block is None:
        return prod(shape) * DTYPE_BITS[dtype] // 8
    return prod(shape) // block.weights * block.bytes


# torch attribute name -> our name; what a pickle, a config's `dtype` and a tensor view spell.
TORCH_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "uint16": "U16",
    "int32": "I32",
    "uint32": "U32",
    "int64": "I64",
    "uint64": "U64",
    "float16": "F16",
    "half": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float": "F32",
    "float64": "F64",
    "double": "F64",
    "complex32": "C32",
    "complex64": "C64",
    "complex128": "C128",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
}
