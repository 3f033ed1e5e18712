"""Swin's stages, as published and as transformers 5 holds them, for every class that has its layers."""

from __future__ import annotations

from typing import NamedTuple

from weightscope.components.attention.heads import Heads
from weightscope.components.attention.relative_grid import RelativeGrid
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.vision.shifted_windows import PatchMerging, ShiftedWindows
from weightscope.components.vision.staged import Stage
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.parts import mlp
from weightscope.families.common.stages import depths_of, scaled, sizes_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

QKV = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)


class Spelling(NamedTuple):
    """Names within a layer's attention, of its MLP, and of that one's matrices."""

    qkv: tuple[str, str, str]
    o: str
    distances: str
    mlp: str
    matrices: tuple[str, str]


PUBLISHED = Spelling(
    ("self.query", "self.key", "self.value"),
    "output.dense",
    "self",
    "",
    ("intermediate.dense", "output.dense"),
)
HELD = Spelling(("q_proj", "k_proj", "v_proj"), "o_proj", "relative_position_bias", "mlp", ("fc1", "fc2"))
SPELLINGS = {"as published": PUBLISHED, "as transformers 5 holds it": HELD}
ROOTS = tuple(SPELLINGS)


def stages_of(config: Config, root: str, name: str) -> tuple[tuple[Repeat, ...], Size]:
    """The stages, numbered below a name, and the width of what leaves the last."""
    depths, width = depths_of(config), config["embed_dim"]
    heads = sizes_of(config, "num_heads", len(depths))[: len(depths)]
    stages = []
    for number, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        last = number == len(depths) - 1
        merged = layer_norms(1e-5)("norm", Role.INPUT_NORM, width * 4)
        stage = Stage(
            blocks=_blocks(config, SPELLINGS[root], width, count, depth),
            leave=None if last else PatchMerging(name="downsample", width=width, norm=merged),
        )
        stages.append(Repeat(name=name, indices=(number,), child=stage, of="part"))
        width = width if last else width * 2
    return tuple(stages), width


def _blocks(config: Config, spelling: Spelling, width: Size, count: Size, depth: Size) -> tuple[Repeat, ...]:
    """Every other layer shifts its windows by half."""
    half = int(config["window_size"]) // 2
    kinds = ((0, range(0, depth, 2)), (half, range(1, depth, 2)))
    return tuple(
        Repeat(name="blocks", indices=indices, child=_block(config, spelling, width, count, shift))
        for shift, indices in kinds
        if indices
    )


def _block(config: Config, spelling: Spelling, width: Size, count: Size, shift: int) -> Block:
    size, norm, bias = config["window_size"], layer_norms(config["layer_norm_eps"]), config["qkv_bias"]
    qkv = (Linear(name, role, bias=bias) for name, role in zip(spelling.qkv, QKV, strict=True))
    return Block(
        input_norm=norm("layernorm_before", Role.INPUT_NORM, width),
        attention=ShiftedWindows(
            name="attention",
            projections=(*qkv, Linear(spelling.o, Role.O_PROJ, bias=True)),
            width=width,
            heads=Heads(count=count, keys=count, size=width // count),
            size=size,
            shift=shift,
            distances=RelativeGrid(
                rows=size,
                columns=size,
                table=f"{spelling.distances}.relative_position_bias_table",
                index=f"{spelling.distances}.relative_position_index",
            ),
        ),
        feed_forward_norm=norm("layernorm_after", Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp(
            width,
            scaled(width, config["mlp_ratio"], "mlp_ratio"),
            config["hidden_act"],
            name=spelling.mlp,
            names=spelling.matrices,
            bias=True,
        ),
    )
