"""Mamba's parts as configs state them, and Mamba-2 under the keys that most hybrids share."""

from __future__ import annotations

from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.mamba2 import Mamba2
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY
from weightscope.sizes import Size

# What the config classes of Bamba, Falcon-H1 and Granite 4 have in common; where they differ, Bamba's.
MAMBA2_HYBRID = ROTARY | {
    "vocab_size": 128000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int), "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "attention_bias": False, "mlp_bias": False, "mamba_n_heads": 128,
    "mamba_d_head": Nullable(object), "mamba_n_groups": 1, "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_expand": 2,
    "mamba_conv_bias": Nullable(bool, True), "mamba_proj_bias": Nullable(bool, False),
    "time_step_limit": Nullable(list),
}  # fmt: skip

# What a root stands for: the state-spaces group's own code has one embedding where transformers has embeddings.
BACKBONE = ("backbone", "", "backbone, embedding")


def mamba2_mixer(
    config: Config,
    *,
    inner: Size | None = None,
    norm: GatedRMSNorm | None = None,
    out_bias: bool | None = None,
    scales: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0),
    channels_last: bool | None = None,
) -> Mamba2:
    """Mamba-2 named `mamba`, as wide as `mamba_expand` times the model unless `inner` says otherwise.

    `norm` acts on what leaves, `out_bias` is on the last matrix: `mamba_proj_bias` unless told otherwise. `scales`
    multiply the five parts of what enters (Falcon-H1), `channels_last` is `Mamba2`'s.
    """
    heads, wide = config["mamba_n_heads"], inner or config["mamba_expand"] * config["hidden_size"]
    bias = bool(config["mamba_proj_bias"])
    return Mamba2(
        name="mamba",
        width=config["hidden_size"],
        heads=heads,
        head_dim=head_size(config, "mamba_d_head", wide, heads),
        groups=config["mamba_n_groups"],
        state=config["mamba_d_state"],
        kernel=config["mamba_d_conv"],
        activation=config["hidden_act"],
        norm=norm,
        bias=bias,
        out_bias=bias if out_bias is None else out_bias,
        kernel_bias=bool(config["mamba_conv_bias"]),
        steps=step_limits(config),
        scales=scales,
        channels_last=channels_last,
    )


def gate_first(config: Config) -> GatedRMSNorm:
    """The norm that Bamba and Granite put on what leaves Mamba-2: gated, then normed in groups."""
    inner = config["mamba_expand"] * config["hidden_size"]
    groups = int(config["mamba_n_groups"])
    return GatedRMSNorm(name="norm", size=inner, eps=config["rms_norm_eps"], groups=groups, gate_first=True)


def step_rank(config: Config, key: str) -> Size:
    """The size of the vector that Mamba's steps come from: a number, or "auto" for a sixteenth of the width."""
    rank, width = config[key], config["hidden_size"]
    if rank is None or rank == "auto":
        return Size(-(-int(width) // 16), f"⌈{width.text}/16⌉", width.keys)
    if not isinstance(rank, Size):
        raise config.error(f"{key!r} is {rank!r:.60}, not a whole number")
    return rank


def head_size(config: Config, key: str, inner: Size, heads: Size) -> Size:
    """The channels of one of Mamba-2's heads: a number, or "auto" for the inner width divided among them."""
    stated = config[key]
    if stated is None or stated == "auto":
        return inner // heads
    if not isinstance(stated, Size) or stated * heads != inner:
        raise config.error(f"{key!r} is {stated!r:.60}, and {int(heads)} heads of that are not {int(inner)} wide")
    return stated


def step_limits(config: Config) -> tuple[float, float]:
    """The least and the greatest step of Mamba-2 (`time_step_limit`)."""
    limits = config["time_step_limit"]
    if limits is None:
        return 0.0, float("inf")
    # transformers 5 writes infinity as an object, earlier releases as JSON does not allow.
    plain = [_number(limit) for limit in limits] if isinstance(limits, list) else []
    numbers = [number for number in plain if number is not None]
    if len(plain) != 2 or len(numbers) != 2:
        raise config.error(f"'time_step_limit' is {limits!r:.60}, not two numbers")
    return numbers[0], numbers[1]


def _number(value: object) -> float | None:
    if isinstance(value, dict):
        value = {"Infinity": float("inf"), "-Infinity": -float("inf")}.get(str(value.get("__float__")))
    return float(value) if isinstance(value, int | float) else None
