"""llama.cpp's choice of a block type for one matrix: `llama_tensor_get_type_impl` in src/llama-quant.cpp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from weightscope.checkpoint.dtypes import BLOCKS

Kind = Literal["head", "embedding", "fused", "latent", "values", "keys", "queries", "output", "up", "gate", "down", ""]
# The kind of a matrix, by the first of these that its name has.
KINDS: Mapping[str, Kind] = {
    "attn_qkv.weight": "fused", "attn_kv_b.weight": "latent", "attn_v.weight": "values", "attn_k.weight": "keys",
    "attn_q.weight": "queries", "attn_output.weight": "output", "ffn_up": "up", "ffn_gate": "gate", "ffn_down": "down",
}  # fmt: skip
WHOLE: Mapping[str, Kind] = {
    "output.weight": "head", "token_embd.weight": "embedding", "per_layer_token_embd.weight": "embedding",
}  # fmt: skip
# File types of fewer than three bits, and what their values and first down projections get.
LOW = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M")
LITTLE_MORE: Mapping[str, str] = {
    file_type: "IQ3_S" if file_type in ("IQ2_S", "IQ2_M") else "Q2_K" for file_type in LOW
}
LOW_OUTPUT: Mapping[str, str] = {"IQ1_S": "IQ2_XXS", "IQ1_M": "IQ2_XXS", "IQ2_S": "IQ3_S", "IQ2_M": "IQ3_S"}
EMBEDDING: Mapping[str, str] = {
    **dict.fromkeys(("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M"), "Q2_K"),
    **dict.fromkeys(("IQ2_S", "IQ2_M", "IQ3_XXS"), "IQ3_S"),
    **dict.fromkeys(("TQ1_0", "TQ2_0"), "Q4_K"),
}
QUERIES_AND_KEYS: Mapping[str, str] = {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}
OUTPUT: Mapping[str, str] = {
    "Q2_K": "Q3_K", "IQ3_XXS": "IQ3_S", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "IQ3_M": "Q4_K",
}  # fmt: skip
# Of mixtures of 8 experts, as Mixtral's.
OUTPUT_OF_EIGHT = (
    "Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S", "IQ3_M", "IQ4_XS",
)  # fmt: skip
# Where several queries share a key.
SHARED_VALUES: Mapping[str, str] = {
    **dict.fromkeys(("Q2_K", "Q2_K_S", "IQ3_XXS", "IQ3_XS", "IQ3_S"), "Q4_K"),
    **dict.fromkeys(("IQ4_NL", "IQ4_XS"), "Q5_K"),
}
VALUES: Mapping[str, str] = {"Q2_K": "Q3_K", "IQ3_M": "Q4_K", "Q3_K_L": "Q5_K"}
# Three types: in the first sixteenth of the layers, where `gets_more_bits` is true, and in the others.
ByPlace = tuple[str, str, str]


class Downs(msgspec.Struct, frozen=True, kw_only=True):
    """The types of down projections, by the file's: in all layers, in the first eighth, and by place."""

    always: Mapping[str, str]
    early: Mapping[str, str]
    by_place: Mapping[str, ByPlace]


DOWNS = Downs(
    always={"Q2_K": "Q3_K", "Q3_K_L": "Q5_K"},
    early={"Q2_K_S": "Q4_K", "IQ3_M": "Q4_K", "Q4_K_S": "Q5_K"},
    by_place={
        "Q3_K_M": ("Q5_K", "Q4_K", "Q4_K"), "Q4_K_M": ("Q6_K", "Q6_K", "Q4_K"), "Q5_K_M": ("Q6_K", "Q6_K", "Q5_K"),
    },
)  # fmt: skip
FALCONS_DOWNS = Downs(
    always={"Q2_K": "Q3_K", "Q3_K_L": "Q4_K"},
    early={"Q2_K_S": "Q4_K", "IQ3_M": "Q4_K"},
    by_place={
        "Q3_K_M": ("Q5_K", "Q4_K", "Q3_K"), "Q4_K_M": ("Q6_K", "Q5_K", "Q4_K"), "Q5_K_M": ("Q6_K", "Q6_K", "Q5_K"),
    },
)  # fmt: skip
# Without an importance matrix: in the first eighth of the layers, and in the others.
NO_MATRIX: Mapping[str, tuple[str, str]] = {
    "IQ4_NL": ("Q5_K", "IQ4_NL"), "IQ4_XS": ("Q5_K", "IQ4_XS"), "IQ3_XXS": ("Q4_K", "Q3_K"),
}  # fmt: skip


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules ask of a model: its layers, the queries that share a key in the first one, the experts of a layer.

    `is_70b` is what llama.cpp calls some models of 80 layers. `tied` models have no head of their own. Some rules
    differ with an importance `matrix`.
    """

    layers: int
    queries_per_key: int
    experts: int
    is_70b: bool
    tied: bool
    falcon: bool
    matrix: bool


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of matrix it is, how many dimensions it has, and in which of how many `layers` it is."""

    kind: Kind
    dims: int
    layer: int = 0
    layers: int = 0

    @classmethod
    def of(cls, name: str, dims: int) -> Place:
        """The place of a tensor, without its layer."""
        kinds = (kind for part, kind in KINDS.items() if part in name)
        return cls(kind=WHOLE[name] if name in WHOLE else next(kinds, ""), dims=dims)

    @property
    def is_values(self) -> bool:
        """Whether it holds values, alone or with others."""
        return self.kind in ("values", "fused", "latent")

    @property
    def early(self) -> bool:
        """Whether it is in the first eighth of the layers."""
        return self.layer < self.layers // 8

    @property
    def gets_more_bits(self) -> bool:
        """Whether it is in the first or the last eighth of the layers, or a third one between them."""
        return self.early or self.layer >= 7 * self.layers // 8 or (self.layer - self.layers // 8) % 3 == 2


def chosen(file_type: str, usual: str, place: Place, row: int, sizes: Sizes) -> str:
    """The block type of a matrix, whether or not its rows are whole blocks; `usual` is what most of the file has."""
    if place.kind == "head" or (place.kind == "embedding" and sizes.tied):
        return _head(file_type, usual, row, sizes)
    if file_type == "MXFP4_MOE":
        return "MXFP4" if place.dims > 2 else "Q8_0"
    if place.kind == "embedding":
        return EMBEDDING.get(file_type, usual)
    rule = (LOW_RULES if file_type in LOW else RULES).get(place.kind)
    return usual if rule is None else rule(file_type, usual, place, sizes)


def _head(file_type: str, usual: str, row: int, sizes: Sizes) -> str:
    if file_type == "MXFP4_MOE" or sizes.falcon or row % BLOCKS[usual].weights:
        return "Q8_0"
    if file_type in (*LOW, "IQ3_XXS"):
        return "Q5_K"
    return "Q8_0" if usual == "Q8_0" else "Q6_K"


def _values(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    if sizes.experts == 8:
        return "Q8_0"
    found = VALUES.get(file_type, usual)
    if sizes.queries_per_key >= 4 and file_type in SHARED_VALUES:
        found = SHARED_VALUES[file_type]
    elif file_type == "IQ3_XXS" and not sizes.matrix:
        found = "IQ3_S"
    elif file_type == "Q3_K_M":
        found = "Q5_K" if place.layer < 2 else "Q4_K"
    elif file_type in ("Q4_K_M", "Q5_K_M") and place.gets_more_bits:
        found = "Q6_K"
    elif file_type == "Q4_K_S" and place.layer < 4:
        found = "Q5_K"
    return "Q5_K" if sizes.is_70b and found in ("Q3_K", "Q4_K") else found


def _queries(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    del place, sizes
    return QUERIES_AND_KEYS.get(file_type, usual)


def _keys(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    return "Q8_0" if sizes.experts == 8 else _queries(file_type, usual, place, sizes)


def _down(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    types = FALCONS_DOWNS if sizes.falcon else DOWNS
    if file_type in types.by_place:
        first, more, other = types.by_place[file_type]
        return first if place.layer < place.layers // 16 else more if place.gets_more_bits else other
    if file_type in NO_MATRIX and not sizes.matrix:
        early, other = NO_MATRIX[file_type]
        return early if place.early else other
    if place.early and file_type in types.early:
        return types.early[file_type]
    mixes = file_type == "IQ3_M" and sizes.experts == 8 and place.gets_more_bits
    return "Q4_K" if mixes else types.always.get(file_type, usual)


def _output(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    del place
    if sizes.falcon:
        return "Q4_K" if file_type == "Q3_K_L" else usual
    if sizes.experts == 8:
        return "Q5_K" if file_type in OUTPUT_OF_EIGHT else usual
    return OUTPUT.get(file_type, usual)


def _inner(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    del sizes
    between = not place.early and place.layer < 7 * place.layers // 8
    return "IQ3_XXS" if file_type == "IQ3_XS" and between else usual


def _low_values(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    del usual, place
    many = sizes.queries_per_key >= 4 or sizes.experts >= 4
    return "Q4_K" if many else LITTLE_MORE[file_type]


def _low_keys(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    del file_type, place
    return "Q4_K" if sizes.experts == 8 else usual


def _low_down(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    del sizes
    return LITTLE_MORE[file_type] if place.early else usual


def _low_output(file_type: str, usual: str, place: Place, sizes: Sizes) -> str:
    del place
    return "Q5_K" if sizes.experts == 8 else LOW_OUTPUT.get(file_type, usual)


Rule = Callable[[str, str, Place, Sizes], str]
RULES: Mapping[Kind, Rule] = {
    "fused": _values, "latent": _values, "values": _values, "keys": _keys, "queries": _queries, "output": _output,
    "up": _inner, "gate": _inner, "down": _down,
}  # fmt: skip
LOW_RULES: Mapping[Kind, Rule] = {
    "fused": _low_values, "latent": _low_values, "values": _low_values, "keys": _low_keys, "output": _low_output,
    "down": _low_down,
}  # fmt: skip
