"""Plausible values for a key of a config: by its name where that says more, else by its type."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

# Values to try in order: the first that transformers accepts is the one that counts.
Chain = tuple[Any, ...]

ACTIVATIONS: tuple[Chain, ...] = (
    ("gelu",), ("silu",), ("relu",), ("gelu_pytorch_tanh",), ("relu2",), ("mish",),
)  # fmt: skip
# By the key's last word; "attention" and "mamba" are old names that every class takes.
LAYER_KINDS: dict[str, tuple[str, ...]] = {
    "layer_types": (
        "full_attention", "sliding_attention", "chunked_attention", "linear_attention", "conv", "attention", "mamba",
    ),
    "mlp_layer_types": ("dense", "sparse"),
    "indexer_types": ("full", "shared"),
    "layers_block_type": ("linear_attention", "full_attention", "mamba", "attention", "moe", "mlp"),
    "block_types": ("recurrent", "attention"),
    "attention_layers": ("global", "local"),
}  # fmt: skip
NEAR: dict[str, Any] = {"rope_type": "default", "rope_theta": 3e3}
SCALED: tuple[dict[str, Any], ...] = (
    {"rope_type": "linear", "factor": 4.0},
    {"rope_type": "dynamic", "factor": 3.0, "original_max_position_embeddings": 16},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 0.7, "mscale_all_dim": 1.3},
    {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
     "original_max_position_embeddings": 16},
)  # fmt: skip
BY_NAME: dict[str, tuple[Chain, ...]] = {
    # The special tokens stay within.
    "vocab_size": ((203,), (99,)),
    "topk_method": (("greedy",), ("group_limited_greedy",), ("noaux_tc",)),
    "scoring_func": (("softmax",), ("sigmoid",)),
    "position_embedding_type": (("rope",), ("nope",)),
    "use_bidirectional_attention": ((True,), ("all",), ("vision",)),
    "projector_hidden_act": ACTIVATIONS[:4],
    "vision_feature_select_strategy": (("full",), ("default",)),
    "vision_feature_layer": ((-1,), (1,), ([0, -1],)),
    "clip_qkv": ((0.3,),),
    "sliding_window": ((4,), (1,), (100,)),
    "attention_window_size": ((4,),),
    "window_size": ((4,),),
    "attention_chunk_size": ((3,), (100,)),
    "rms_norm_eps": ((0.03,),),
    "attn_layer_indices": (([0],), ([],)),
    "full_attn_idxs": (([0, 2],), ([0],)),
    "mlp_only_layers": (([0],), ([0, 1],), ([],)),
    "moe_layers": (([0],), ([0, 2],), ([],)),
    "no_rope_layers": (([1, 0, 1, 0, 1, 0],), ([0] * 12,)),
    "moe_topk": ((1,), ([2, 2, 2], [2, 2, 2, 2])),
    "moe_intermediate_size": ((15,), ([14, 14, 14],)),
    "time_step_limit": (([0.1, 0.6],), ([0.0, 0.2],)),
    "sliding_window_pattern": ((2,), (3,), ("LG",)),
    "attn_layer_period": ((2,), (4,)),
    "mamba_d_ssm": ((32, 16, 64),),
    "router_jitter_noise": ((0.3,),),
    "moe_normalize_expert_weights": ((2.0,), (1.0,)),
    "attn_config": (),
    "per_layer_config": (),
}
# What the annotation does not tell of a key that is null by default.


def is_activation(key: str) -> bool:
    """Whether the key names an activation function."""
    return key.endswith(("hidden_act", "hidden_activation", "activation_function", "activation", "projector_act"))


def chains(key: str, annotation: Any, value: Any) -> Iterator[Chain]:
    """Chains of values other than `value`; null and absent are not among them."""
    for chain in _chains(key, annotation, value):
        others = tuple(other for other in chain if not same(other, value))
        if others:
            yield others


def same(one: object, other: object) -> bool:
    """Equality that tells 1 from True and from 1.0."""
    return type(one) is type(other) and one == other


def _chains(key: str, annotation: Any, value: Any) -> Iterator[Chain]:
    if key in BY_NAME:
        yield from BY_NAME[key]
        return
    if key in LAYER_KINDS:
        yield from _layer_kinds(LAYER_KINDS[key], value)
        return
    if key in ("rope_parameters", "rope_scaling"):
        yield from rotations(value)
        return
    if isinstance(value, str) and is_activation(key):
        yield from ACTIVATIONS
        return
    kinds = kinds_of(annotation) or {type(value)}
    literals = [choice for choice in literals_of(annotation) if choice is not None]
    if literals:
        yield from ((choice,) for choice in literals)
        return
    if isinstance(value, bool) or (value is None and bool in kinds):
        yield from ((not value,),) if value is not None else ((True,), (False,))
    elif isinstance(value, int):
        yield from _whole(value, least=2 if key.endswith("head_dim") else 0)
    elif isinstance(value, float):
        yield from _numbers(value)
    elif isinstance(value, list):
        yield from _lists(value)
    elif value is None:
        yield from _for_null(key, kinds)


def _whole(value: int, least: int) -> Iterator[Chain]:
    """Rotations want even heads: there `least` leaves out what only a degenerate model has."""
    yield (value + 1, value + 2, value * 2, value * 2 + 2, value + 6, value * 3)
    yield tuple(number for number in (value - 1, value // 2, value - 2, value // 3) if number >= least)
    yield from ((number,) for number in (1, 0) if number >= least)


def _numbers(value: float) -> Iterator[Chain]:
    if 0 < value < 1e-3:
        yield (0.03,)
        return
    yield (value * 2 + 0.25, 1.0)
    yield (value * 0.5,) if value else (0.3,)
    if value > 1:
        yield (int(value) + 2,)


def _lists(value: list[Any]) -> Iterator[Chain]:
    if value:
        yield (value[::-1],)
        yield (value[1:] + value[:1],)
        yield (value[:-1],)
        yield (value + value[:1],)
    yield ([],)
    if value and all(isinstance(x, int) and not isinstance(x, bool) for x in value):
        yield ([x + 1 for x in value],)
    elif value and all(isinstance(x, float) for x in value):
        yield ([x * 0.5 + 0.1 for x in value],)


def _layer_kinds(kinds: tuple[str, ...], value: Any) -> Iterator[Chain]:
    """Other orders, other lengths, all of a kind, the last of another kind."""
    if not isinstance(value, list) or not value:
        # As deep as the tiny models are.
        for kind in kinds:
            yield tuple([kind] * depth for depth in range(2, 7))
        yield tuple([kinds[1], *[kinds[0]] * (depth - 1)] for depth in range(2, 7))
        return
    yield from _lists(value)
    for kind in kinds:
        yield ([kind] * len(value),)
        yield ([*value[:-1], kind],)


def _for_null(key: str, kinds: set[type]) -> Iterator[Chain]:
    if int in kinds:
        yield (7, 8, 6, 4, 12)
        yield (2,)
    if float in kinds:
        yield (0.7,)
    if str in kinds:
        yield from ACTIVATIONS[:3] if is_activation(key) else ()
    if list in kinds:
        yield ([1],)
        yield ([0, 2],)
    if bool in kinds:
        yield (True,)


def rotations(value: Any) -> Iterator[Chain]:
    """Rope settings, as `rope_parameters` and `rope_scaling` hold them, whole or one for each kind of layer."""
    if isinstance(value, dict) and value and all(isinstance(part, dict) for part in value.values()):
        for kind, part in value.items():
            for changed in _one_rotation(part):
                yield tuple(value | {kind: option} for option in changed)
            yield ({other: part for other, part in value.items() if other != kind},)
        yield (dict(NEAR),)
        yield ({},)
        return
    yield from _one_rotation(value if isinstance(value, dict) else {})
    yield ({},)


def _one_rotation(value: Mapping[str, Any]) -> Iterator[Chain]:
    theta = {"rope_theta": value.get("rope_theta", 1e4)}
    for key, old in value.items():
        yield ({other: kept for other, kept in value.items() if other != key},)
        if isinstance(old, float | int) and not isinstance(old, bool):
            yield (dict(value) | {key: old * 0.5},)
    yield (dict(value) | {"rope_theta": 777},)
    yield (dict(value) | {"partial_rotary_factor": 0.5},)
    for scaling in SCALED:
        kept = {key: value[key] for key in ("partial_rotary_factor",) if key in value}
        yield (theta | kept | scaling,)
    yield tuple(
        theta
        | {"rope_type": "longrope", "short_factor": short, "long_factor": long, "original_max_position_embeddings": 16}
        for pairs in (2, 5, 3, 4, 6, 8, 1)
        for short, long in [([1.0 + 0.25 * i for i in range(pairs)], [1.5 + i for i in range(pairs)])]
    )


def kinds_of(annotation: Any) -> set[type]:
    """The plain types that an annotation allows."""
    if isinstance(annotation, str):
        found = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict}
        return {kind for name, kind in found.items() if name in annotation}
    origin = get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return {kind for part in get_args(annotation) for kind in kinds_of(part)}
    if origin is Literal:
        return {type(choice) for choice in get_args(annotation)}
    if origin in (list, tuple, dict):
        return {list if origin is tuple else origin}
    return {annotation} if isinstance(annotation, type) else set()


def literals_of(annotation: Any) -> tuple[Any, ...]:
    """The values that an annotation lists."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(choice for part in get_args(annotation) for choice in literals_of(part))
    return ()
