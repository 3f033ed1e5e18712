"""The kinds of layers of Nemotron-H: Mamba-2, attention without positions, an MLP, a mixture; each under one name."""

from __future__ import annotations

from weightscope.components.attention import Attention, Heads
from weightscope.components.base import Component, Group, Repeat
from weightscope.components.feed_forward import MLP
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.mixers import MixerBlock
from weightscope.components.prediction.next_tokens import NextTokens
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.mamba2 import Mamba2
from weightscope.config import Config
from weightscope.families.common import rms_norms, visible
from weightscope.families.common.layer_types import FULL, LINEAR
from weightscope.families.common.numbers import number
from weightscope.families.common.parts import four_projections
from weightscope.families.common.refusals import refuse
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.stacked import Stacked

NAME = "mixer"
# The layers in the letters of `hybrid_override_pattern`, and in the words of `layers_block_type`.
LETTERS = {"M": LINEAR, "*": FULL, "E": "moe", "-": "mlp"}
WORDS = {"mamba": LINEAR, "attention": FULL} | {kind: kind for kind in LETTERS.values()}
# What the class has where the config names no layers, and of those that predict further tokens.
DEFAULT, AHEAD = (LINEAR, "moe", FULL, "mlp"), (FULL, "moe")
# Experts as transformers 5 holds them in memory, and as MLX's converter writes them.
IN_MEMORY = Stack(items=(Stacked("up_proj", Role.UP_PROJ), Stacked("down_proj", Role.DOWN_PROJ)))
SWITCH = Stack(name="switch_mlp", items=(Stacked("fc1.weight", Role.UP_PROJ), Stacked("fc2.weight", Role.DOWN_PROJ)))


def nemotron_kinds(config: Config, prefix: str = "", default: tuple[str, ...] = DEFAULT) -> list[str]:
    """The kind of each layer, from a list of words or else a string of letters; those of the class without either.

    Raises:
        UndeclaredError: a kind of layer that is not among the known ones.
    """
    listed = config[f"{prefix}layers_block_type"]
    known = LETTERS if listed is None else WORDS
    listed = config[f"{prefix}hybrid_override_pattern"] if listed is None else listed
    if listed is None:
        return list(default)
    for kind in listed:
        if not isinstance(kind, str) or kind not in known:
            raise config.undeclared(f"layers of the kind {kind!r:.60} are not declared")
    return [known[kind] for kind in listed]


def nemotron_layer(config: Config, kind: str, *, stacked: Stack | None = None) -> MixerBlock:
    """A layer of that kind."""
    norm = rms_norms(config["layer_norm_epsilon"])("norm", Role.INPUT_NORM, config["hidden_size"])
    return MixerBlock(norm=norm, mixer=_part(config, kind, stacked=stacked))


def nemotron_ahead(config: Config) -> tuple[Component, ...]:
    """The layers that predict tokens further ahead, numbered through however many predict one token together."""
    width, norm, kinds = (
        config["hidden_size"],
        rms_norms(config["layer_norm_epsilon"]),
        nemotron_kinds(config, "mtp_", AHEAD),
    )
    count, steps, layers = len(kinds), config["num_nextn_predict_layers"] or 0, []
    for place, kind in enumerate(kinds):
        parts: list[Component] = [nemotron_layer(config, kind)]
        if place == 0:
            parts = [norm("enorm", Role.EMBEDDING_NORM, width), norm("hnorm", Role.NORM, width), *parts]
        if place == count - 1:
            parts.append(norm("final_layernorm", Role.FINAL_NORM, width))
        layer = NextTokens(joined=None if place else "eh_proj", width=width, parts=tuple(parts))
        layers.append(Repeat(name="layers", indices=range(place, steps * count, count), child=layer))
    return (Group(name="mtp", parts=tuple(layers)),) if steps else ()


def _part(config: Config, kind: str, *, stacked: Stack | None) -> Component:
    """The one part of a layer of that kind."""
    if kind == LINEAR:
        return _mamba2(config)
    if kind == FULL:
        return _attention(config)
    return _mlp(config, NAME, config["intermediate_size"]) if kind == "mlp" else _mixture(config, stacked=stacked)


def _attention(config: Config) -> Attention:
    """Without positions: order comes from the recurrence."""
    # NVIDIA's code has more tensors with it, and transformers ignores it.
    refuse(config, "Nemotron-H", ("attention_bias",))
    count, keys = config["num_attention_heads"], config["num_key_value_heads"]
    return Attention(
        name=NAME,
        projections=four_projections(),
        width=config["hidden_size"],
        heads=Heads(count=count, keys=count if keys is None else keys, size=config["head_dim"]),
        sees=visible(config),
    )


def _mamba2(config: Config) -> Mamba2:
    """The class bounds steps from below by `time_step_min`, whatever `time_step_limit` says."""
    heads, head_dim, groups = config["mamba_num_heads"], config["mamba_head_dim"], config["n_groups"]
    inner, eps, bias = heads * head_dim, config["layer_norm_epsilon"], config["use_bias"]
    return Mamba2(
        name=NAME,
        width=config["hidden_size"],
        heads=heads,
        head_dim=head_dim,
        groups=groups,
        state=config["ssm_state_size"],
        kernel=config["conv_kernel"],
        activation=config["mamba_hidden_act"],
        norm=GatedRMSNorm(name="norm", size=inner, eps=eps, groups=int(groups), gate_first=True),
        bias=bias,
        out_bias=bias,
        kernel_bias=config["use_conv_bias"],
        steps=(number(config, "time_step_min"), float("inf")),
    )


def _mlp(config: Config, name: str, inner: Size, width: Size | None = None, *, bias: bool | None = None) -> MLP:
    bias = config["mlp_bias"] if bias is None else bias
    return MLP(
        name=name,
        items=(Linear("up_proj", Role.UP_PROJ, bias=bias), Linear("down_proj", Role.DOWN_PROJ, bias=bias)),
        width=width or config["hidden_size"],
        inner=inner,
        activation=config["mlp_hidden_act"],
    )


def _mixture(config: Config, *, stacked: Stack | None) -> Component:
    """Routed as in DeepSeek-V3, on a narrower x where `moe_latent_size` says so; experts have no bias."""
    latent, shared = config["moe_latent_size"], config["moe_shared_expert_intermediate_size"]
    if latent == 0:
        raise config.error("'moe_latent_size' is 0, and must be at least 1, or null")
    return MixtureOfExperts(
        name=NAME,
        width=config["hidden_size"],
        experts=config["n_routed_experts"],
        chosen=config["num_experts_per_tok"],
        expert=_mlp(config, "", config["moe_intermediate_size"], latent, bias=False),
        routing=Routing(
            score="sigmoid",
            groups=int(config["n_group"]),
            kept=int(config["topk_group"]),
            normalize=bool(config["norm_topk_prob"]),
            scale=number(config, "routed_scaling_factor"),
        ),
        shared=_mlp(config, "shared_experts", shared or config["intermediate_size"]),
        correction="gate.e_score_correction_bias",
        latent=latent,
        latent_bias=config["mlp_bias"],
        stacked=stacked,
    )
