"""Element types as a user writes them, and how many bytes so many elements have."""

from __future__ import annotations

from weightscope.checkpoint.dtypes import BLOCKS, DTYPE_BITS, TORCH_NAMES
from weightscope.errors import UsageError

SHORT = {
    "fp32": "F32",
    "fp16": "F16",
    "bf16": "BF16",
    "fp8": "F8_E4M3",
    "fp8_e4m3": "F8_E4M3",
    "fp8_e5m2": "F8_E5M2",
}
# What weights, keys and values are kept in.
KEPT = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I8"})
EXAMPLES = "write float32, float16, bfloat16, float8_e4m3fn, float8_e5m2 or int8"


def element_type(option: str, text: str) -> str:
    """The type that was written, as safetensors spells it.

    Raises:
        UsageError: there is no such type, or nothing is kept in it.
    """
    name = text.strip().lower().removeprefix("torch.")
    found = SHORT.get(name) or TORCH_NAMES.get(name) or next((d for d in DTYPE_BITS if d.lower() == name), None)
    if found not in KEPT:
        raise UsageError(f"{option} has no type {text!r:.60}", hint=EXAMPLES)
    return str(found)


def byte_count(elements: int, dtype: str) -> int:
    """Bytes of so many elements, rounded up."""
    block = BLOCKS.get(dtype)
    if block is not None:
        return -(-elements // block.weights) * block.bytes
    return -(-elements * DTYPE_BITS[dtype] // 8)
