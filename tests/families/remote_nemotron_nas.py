"""A tiny Llama-Nemotron: transformers' Llama, whose layers are made thinner or taken out as `block_configs` say."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP

from tests.families.remote_code import HEADS, SIZES, Remote, of, same
from tests.families.tiny import LLAMA


class Without(torch.nn.Module):
    """Nothing in the place of a half."""

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> Any:
        return torch.zeros_like(hidden_states)


class LinearAttention(torch.nn.Module):
    """One matrix in the place of attention, under its published name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_attn = torch.nn.Linear(width, width, bias=False)

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> Any:
        return self.linear_attn(hidden_states), None


class WithoutAttention(Without):
    """The same as a pair, as attention returns it."""

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> Any:
        return torch.zeros_like(hidden_states), None


class LinearMLP(torch.nn.Module):
    """One matrix in the place of an MLP, under its published name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_mlp = torch.nn.Linear(width, width, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> Any:
        return self.linear_mlp(hidden_states)


NO_OP, LINEAR = {"no_op": True}, {"replace_with_linear": True}
# Two thirds of 24 wide: 16 and 272 rows, rounded up to 256 and 512.
BLOCKS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"n_heads_in_group": 3}, {"ffn_mult": 1.0}),
    (NO_OP, {"ffn_mult": 17.0}),
    ({"n_heads_in_group": 6}, NO_OP),
    (NO_OP, NO_OP),
    (LINEAR, {"ffn_mult": 1}),
    ({"n_heads_in_group": 1}, LINEAR),
]
ROWS = {1.0: 256, 17.0: 512}


def cut(model: Any) -> None:
    """The same layers as `BLOCKS`, of transformers' own modules where any are left."""
    width = model.config.hidden_size
    for number, (attention, ffn) in enumerate(BLOCKS):
        layer, own = model.model.layers[number], deepcopy(model.config)
        own.num_key_value_heads = HEADS // attention.get("n_heads_in_group", HEADS)
        own.intermediate_size = ROWS.get(ffn.get("ffn_mult", 1.0))
        layer.self_attn, layer.mlp = LlamaAttention(own, number), LlamaMLP(own)
        if attention is LINEAR:
            layer.self_attn = LinearAttention(width)
        if ffn is LINEAR:
            layer.mlp = LinearMLP(width)
        if attention is NO_OP:
            layer.self_attn, layer.input_layernorm = WithoutAttention(), torch.nn.Identity()
        if ffn is NO_OP:
            layer.mlp, layer.post_attention_layernorm = Without(), torch.nn.Identity()


NEMOTRON_NAS: Remote = Remote(
    "nemotron-nas",
    "nemotron-nas",
    of("Llama", LLAMA, num_hidden_layers=len(BLOCKS)),
    same,
    SIZES | {
        "num_hidden_layers": len(BLOCKS), "intermediate_size": None, "num_key_value_heads": None, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "block_configs": [{"attention": a, "ffn": f} for a, f in BLOCKS],
    },
    prepare=cut,
)  # fmt: skip
