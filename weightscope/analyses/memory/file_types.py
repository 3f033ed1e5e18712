"""Which element type llama.cpp gives each tensor of a GGUF file, by the file's type.

Source: `tensor_allows_quantization` and `tensor_type_fallback` in src/llama-quant.cpp and `prepare_tensors` in
conversion/base.py of llama.cpp, as llama-cpp-python 0.3.36 (2026) has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from weightscope.analyses.memory.tensor_rules import LOW, Place, Sizes, chosen
from weightscope.checkpoint.dtypes import BLOCKS

# The type of every matrix for which no rule says another.
FILE_TYPES: Mapping[str, str] = {
    "Q2_K": "Q2_K",
    "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K",
    "IQ4_XS": "IQ4_XS", "IQ4_NL": "IQ4_NL",
    "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K",
    "Q5_0": "Q5_0", "Q5_1": "Q5_1", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K",
    "Q6_K": "Q6_K", "Q8_0": "Q8_0",
    "IQ1_S": "IQ1_S", "IQ1_M": "IQ1_M", "IQ2_XXS": "IQ2_XXS", "IQ2_XS": "IQ2_XS", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S",
    "IQ3_XXS": "IQ3_XXS", "IQ3_XS": "IQ3_S", "IQ3_S": "IQ3_S", "IQ3_M": "IQ3_S", "Q2_K_S": "Q2_K",
    "TQ1_0": "TQ1_0", "TQ2_0": "TQ2_0", "MXFP4_MOE": "MXFP4",
    "F32": "F32", "F16": "F16", "BF16": "BF16",
}  # fmt: skip
# llama-quantize makes these with an importance matrix only.
WITH_MATRIX = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S"})
# The type that rows get which are no multiple of a block.
SMALLER_BLOCKS: Mapping[str, str] = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip
# Parts of the names of matrices that the converter writes in float32, and of those that stay as it wrote them.
FLOAT32 = (
    "ffn_gate_inp", "position_embd", "token_types", "ssm_conv1d", "shortconv.conv", "altup_correct_coef",
    "altup_predict_coef", "indexer.proj",
)  # fmt: skip
NOT_QUANTIZED = ("altup", "laurel", "per_layer_model_proj", "indexer.k_proj", "indexer.q_proj", "attn_rel_b")
PLAIN, HALF = "F32", "F16"


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of the file; its layer is None if it is in none."""

    name: str
    shape: tuple[int, ...]
    layer: int | None


def element_types(file_type: str, tensors: Iterable[Tensor], sizes: Sizes) -> dict[str, str]:
    """The element type of each tensor by its name, in a file of that type."""
    ordered = sorted(tensors, key=lambda tensor: (-1 if tensor.layer is None else tensor.layer, tensor.name))
    return dict(_typed(file_type, ordered, sizes))


def _typed(file_type: str, tensors: list[Tensor], sizes: Sizes) -> Iterator[tuple[str, str]]:
    """Each with its type. Layers are counted by kind, but in MLPs of mixtures they are mostly the layers' numbers."""
    usual = FILE_TYPES[file_type]
    places = [Place.of(tensor.name, len(tensor.shape)) for tensor in tensors]
    values = sum(place.is_values for place in places)
    seen: dict[str, int] = {}
    for tensor, place in zip(tensors, places, strict=True):
        plain = PLAIN if usual == PLAIN else _unquantized(tensor, usual)
        if plain:
            yield tensor.name, plain
            continue
        kind = "values" if place.is_values else place.kind
        before = seen.get(kind, 0)
        seen[kind] = before + 1
        by_number = sizes.experts > 1 and kind in ("down", "gate", "up") and file_type not in LOW
        number = (tensor.layer or 0) if by_number else before
        here = replace(place, layer=number, layers=values if place.is_values else sizes.layers)
        row = int(tensor.shape[-1])
        yield tensor.name, _fitting(chosen(file_type, usual, here, row, sizes), row)


def _unquantized(tensor: Tensor, usual: str) -> str:
    """The type of what is not quantized, as the converter writes it into a file of 16 bits; otherwise empty."""
    vector = len(tensor.shape) < 2 or tensor.name.endswith("_norm.weight") or not tensor.name.endswith(".weight")
    if vector or any(part in tensor.name for part in FLOAT32):
        return PLAIN
    if usual not in BLOCKS:
        return usual
    return HALF if any(part in tensor.name for part in NOT_QUANTIZED) else ""


def _fitting(dtype: str, row: int) -> str:
    """The type, or one with smaller blocks, of which a row is a multiple."""
    if row % BLOCKS[dtype].weights == 0:
        return dtype
    smaller = SMALLER_BLOCKS.get(dtype)
    return smaller if smaller and row % BLOCKS[smaller].weights == 0 else HALF
