"""Parts of Step 3.5, layer by layer, and the ways in which it is spelled on disk. Source: `Step3p7TextModel`.

Lists of published configs have entries for the layers that predict ahead, after those of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from weightscope.components.attention import Attention, Heads, Rope, Scores
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block
from weightscope.components.embedding import Head
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.prediction.next_tokens import NextTokens
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, WINDOWS
from weightscope.families.common.mixtures import STACK, SWITCH
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms
from weightscope.families.common.refusals import require
from weightscope.roles import Role
from weightscope.sizes import Size, size
from weightscope.storage.base import join
from weightscope.storage.linear import Linear


class Spelling(NamedTuple):
    """The decoder's prefix, and whether a mixture is named and stacked as transformers 5 holds it."""

    prefix: str
    held: bool = False


# A base model alone is only known from transformers, which saves it as it holds it.
ROOTS = {
    "model": Spelling("model"),
    "": Spelling("", held=True),
    "model, as transformers 5 holds it": Spelling("model", held=True),
    "model.language_model": Spelling("model.language_model", held=True),
}
# What is read of a rotation, once its settings for one kind of layer are found.
TURNING: dict[str, Any] = {
    "rope_parameters": Nullable(dict), "max_position_embeddings": 128000, "partial_rotary_factor": Nullable(float),
}  # fmt: skip


def kinds_with_ahead(config: Config) -> list[str]:
    """The kind of each layer, then of those that predict ahead."""
    depth, ahead = depth_of(config), int(config["num_nextn_predict_layers"] or 0)
    listed, more = config["layer_types"], config["mtp_layer_types"]
    kinds = [FULL] * (depth + ahead) if listed is None else [*listed]
    if len(kinds) == depth and ahead:
        if more is None:
            raise config.undeclared(f"num_nextn_predict_layers {ahead} without mtp_layer_types is not declared")
        kinds += more
    if len(kinds) != depth + ahead:
        raise config.error(f"layer_types does not name {depth:,} layers, as num_hidden_layers says")
    for kind in kinds:
        if not isinstance(kind, str) or kind not in WINDOWS:
            raise config.undeclared(f"layers of the kind {kind!r:.60} are not declared")
    return kinds


def mixed_layers(config: Config) -> list[bool]:
    """Which layers have a mixture, then those that predict ahead: all from the third on, but none of the latter."""
    depth, listed = depth_of(config), config["mlp_layer_types"]
    count = depth + int(config["num_nextn_predict_layers"] or 0)
    if listed is not None:
        whole = [*listed, *(config["mtp_mlp_layer_types"] or [])] if len(listed) == depth else listed
        if len(listed) not in (depth, count):
            raise config.error(f"mlp_layer_types does not name {depth:,} layers, as num_hidden_layers says")
        return [kind == "sparse" for kind in (*whole, *["dense"] * count)][:count]
    said = config["moe_layers_enum"]
    if said is None:
        mixed = set(range(3, depth))
    else:
        listed = said.split(",") if isinstance(said, str) else said
        mixed = {int(number) for number in listed if str(number).strip()}
    return [i in mixed for i in range(count)]


def heads_of(config: Config) -> Callable[[int], Heads]:
    """The heads of each layer: `per_layer_config` says so, or layers with a window have a number of their own.

    Raises:
        UndeclaredError: `per_layer_config` says something of other keys.
    """
    kinds, count = kinds_with_ahead(config), config["num_attention_heads"]
    windowed = config["num_sliding_attention_heads"]
    if windowed is None:
        windowed = size((config["attention_other_setting"] or {}).get("num_attention_heads", count))
    stated, depth = config["per_layer_config"], config["num_hidden_layers"]
    listed = {int(key): value for key, value in (stated or {}).items() if key.isdecimal() and len(key) < 10}

    def heads(i: int) -> Heads:
        number = windowed if kinds[i] == SLIDING else count
        if stated is not None and i < depth:
            own = listed.get(i, {})
            if not isinstance(own, dict) or not set(own) <= {"num_attention_heads"}:
                raise config.undeclared(f"per_layer_config with {own!r:.60} is not declared")
            number = size(own.get("num_attention_heads", count))
        return Heads(count=number, keys=config["num_key_value_heads"], size=config["head_dim"])

    return heads


def step_attention(config: Config, kinds: list[str], i: int, heads: Heads) -> Attention:
    """A gate for each head; queries and keys are normed."""
    require(config, "Step 3.5", {"gating": True} if config["gating"] != "per-head" else {})
    norm, bias = rms_norms(config["rms_norm_eps"], offset=1.0), config["attention_bias"]
    scalar = config["query_pre_attn_scalar"]
    return Attention(
        name="self_attn",
        projections=(*four_projections(qkv_bias=bias, o_bias=bias), Linear("g_proj", Role.ATTENTION_GATE)),
        width=config["hidden_size"],
        heads=heads,
        gates_heads=True,
        norms=head_norms(norm, heads.size),
        positions=turning(config, kinds, i),
        sees=visible(config, config["sliding_window"] if kinds[i] == SLIDING else None),
        scores=Scores(scale=None if scalar is None else float(scalar) ** -0.5),
    )


def turning(config: Config, kinds: list[str], i: int) -> Rope:
    """The rotation of a layer's kind; lists of theta and of shares are by layer, a scaling is full attention's."""
    kind, depth, whole = kinds[i], config["num_hidden_layers"], config["rope_parameters"] or {}
    first = kinds.index(kind)
    if all(isinstance(whole.get(other), dict) for other in set(kinds[:depth])):
        settings = whole.get(kind) or {}
    else:
        theta, shares = config["rope_theta"], config["partial_rotary_factors"]
        theta = theta[first] if isinstance(theta, list) else theta
        settings = {"rope_type": "default", "rope_theta": 10000.0 if theta is None else theta}
        settings |= {"partial_rotary_factor": shares[first]} if shares else {}
        settings |= (config["rope_scaling"] or {}) if kind == FULL else {}
    data = {"rope_parameters": {kind: settings}, "max_position_embeddings": config["max_position_embeddings"]}
    return rotary(Config(data, source=config.source, defaults=TURNING), config["head_dim"], layers=kind)


def step_mlp(config: Config, name: str, i: int, inner: Size | None = None) -> GatedMLP:
    """One whose activated gate a layer may bound; always silu."""
    made = gated_mlp(config, name, inner=inner, bias=config["mlp_bias"], activation="silu")
    return replace(made, ceiling=_bound(config, "swiglu_limits_shared", i))


def step_mixture(config: Config, spelling: Spelling, i: int) -> MixtureOfExperts:
    """Sigmoid scores with a correction, and one shared expert; as published it lies beside the mixture."""
    held = spelling.held
    expert = gated_mlp(config, "", inner=config["moe_intermediate_size"], activation="silu")
    return MixtureOfExperts(
        name="mlp" if held else "",
        width=config["hidden_size"],
        experts=config["n_routed_experts"],
        chosen=config["num_experts_per_tok"],
        expert=replace(expert, ceiling=_bound(config, "swiglu_limits", i)),
        routing=Routing(score="sigmoid", scale=float(config["moe_router_scaling_factor"]), added=0.0),
        shared=step_mlp(config, "shared_experts" if held else "share_expert", i, config["share_expert_dim"]),
        correction="gate.e_score_correction_bias" if held else "moe.router_bias",
        stacked=STACK if held else Stack(name="moe", items=SWITCH.items),
        router="gate" if held else "moe.gate",
    )


def step_ahead(config: Config, spelling: Spelling, layer: Callable[[int], Block]) -> tuple[Component, ...]:
    """Each predicts one token further, with a head of its own; transformers 5 leaves them out."""
    depth, count = config["num_hidden_layers"], int(config["num_nextn_predict_layers"] or 0)
    width, norm = config["hidden_size"], rms_norms(config["rms_norm_eps"], offset=1.0)
    if spelling.held:
        return ()

    def ahead(i: int) -> Repeat:
        parts = (
            norm("enorm", Role.EMBEDDING_NORM, width),
            norm("hnorm", Role.NORM, width),
            layer(i),
            norm("transformer.shared_head.norm", Role.FINAL_NORM, width),
            Head(name="transformer.shared_head.output", vocabulary=config["vocab_size"], width=width, tied=False),
        )
        child = NextTokens(joined="eh_proj", width=width, parts=parts)
        return Repeat(name=join(spelling.prefix, "layers"), indices=range(i, i + 1), child=child)

    return tuple(ahead(i) for i in range(depth, depth + count))


def _bound(config: Config, key: str, i: int) -> float | None:
    """What a list by layer says of one, 0 and null being none; those that predict ahead may not be in it."""
    listed = config[key]
    if not listed or (i >= len(listed) and i >= config["num_hidden_layers"]):
        return None
    return float(listed[i]) if listed[i] else None
