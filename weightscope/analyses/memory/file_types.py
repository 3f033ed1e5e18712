"""Which block type llama.cpp gives each matrix, for the file types that need no importance matrix.

Source: `llama_tensor_get_type_impl` and `tensor_type_fallback` in src/llama-quant.cpp of llama.cpp, as
llama-cpp-python 0.3.36 (2026) has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from weightscope.checkpoint.dtypes import BLOCKS
from weightscope.roles import Role

# The type of every matrix for which no rule says another.
FILE_TYPES: Mapping[str, str] = {
    "Q2_K": "Q2_K",
    "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K",
    "IQ4_XS": "IQ4_XS", "IQ4_NL": "IQ4_NL",
    "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K",
    "Q5_0": "Q5_0", "Q5_1": "Q5_1", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K",
    "Q6_K": "Q6_K", "Q8_0": "Q8_0",
}  # fmt: skip
# The type that rows get which are no multiple of 256.
SMALLER_BLOCKS: Mapping[str, str] = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "IQ4_XS": "IQ4_NL", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip
OUTPUT_PROJECTION: Mapping[str, str] = {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}
# Of mixtures of 8 experts, as Mixtral's.
OUTPUT_PROJECTION_OF_EIGHT = ("Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_NL", "IQ4_XS", "Q4_K_S", "Q4_K_M")


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """What of a model the rules ask: its layers, the queries that share a key, the experts of a layer.

    `is_70b` is what llama.cpp calls some models of 80 layers. `tied` models have no head of their own.
    """

    layers: int
    queries_per_key: int
    experts: int
    is_70b: bool
    tied: bool


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix: its first role, its layer, and the elements of a row. Fused queries, keys and values are `values`."""

    role: Role
    layer: int
    row: int


def block_type(file_type: str, place: Place, sizes: Sizes) -> str:
    """The element type of a matrix in a file of that type."""
    return _fitting(_chosen(file_type, place, sizes), place.row)


def _chosen(file_type: str, place: Place, sizes: Sizes) -> str:
    match place.role:
        case Role.LM_HEAD:
            return _head(file_type, place.row)
        case Role.TOKEN_EMBEDDING if sizes.tied:
            return _head(file_type, place.row)
        case Role.K_PROJ | Role.V_PROJ if sizes.experts == 8:
            return "Q8_0"
        case Role.V_PROJ:
            return _values(file_type, place.layer, sizes)
        case Role.DOWN_PROJ:
            return _down(file_type, place.layer, sizes.layers)
        case _:
            return _of_all_layers(file_type, place.role, sizes)


def _of_all_layers(file_type: str, role: Role, sizes: Sizes) -> str:
    """The type of what is alike in all layers."""
    usual = FILE_TYPES[file_type]
    if role is not Role.O_PROJ:
        return usual
    if sizes.experts == 8:
        return "Q5_K" if file_type in OUTPUT_PROJECTION_OF_EIGHT else usual
    return OUTPUT_PROJECTION.get(file_type, usual)


def _head(file_type: str, row: int) -> str:
    usual = FILE_TYPES[file_type]
    return "Q8_0" if usual == "Q8_0" or row % BLOCKS[usual].weights else "Q6_K"


def _values(file_type: str, layer: int, sizes: Sizes) -> str:
    shared = sizes.queries_per_key >= 4
    found = FILE_TYPES[file_type]
    match file_type:
        case "Q2_K":
            found = "Q4_K" if shared else "Q3_K"
        case "Q3_K_M":
            found = "Q5_K" if layer < 2 else "Q4_K"
        case "Q3_K_L":
            found = "Q5_K"
        case "IQ4_NL" | "IQ4_XS" if shared:
            found = "Q5_K"
        case "Q4_K_S" if layer < 4:
            found = "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if _gets_more_bits(layer, sizes.layers):
            found = "Q6_K"
        case _:
            pass
    return "Q5_K" if sizes.is_70b and found in ("Q3_K", "Q4_K") else found


def _down(file_type: str, layer: int, layers: int) -> str:
    early = layer < layers // 8
    match file_type:
        case "Q2_K":
            return "Q3_K"
        case "Q3_K_M":
            return "Q5_K" if layer < layers // 16 else "Q4_K"
        case "Q3_K_L":
            return "Q5_K"
        case "Q4_K_S" | "IQ4_NL" | "IQ4_XS" if early:
            return "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if _gets_more_bits(layer, layers):
            return "Q6_K"
        case _:
            return FILE_TYPES[file_type]


def _gets_more_bits(layer: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and every third between them."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _fitting(dtype: str, row: int) -> str:
    """The type, or one with smaller blocks, of which a row is a multiple."""
    if row % BLOCKS[dtype].weights == 0:
        return dtype
    smaller = SMALLER_BLOCKS.get(dtype)
    return smaller if smaller and row % BLOCKS[smaller].weights == 0 else "F16"
