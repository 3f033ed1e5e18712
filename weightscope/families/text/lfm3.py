"""LFM3 (Liquid AI 2026): LFM2 with windows, gates on the heads and norms after each half. Source: `Lfm3Config`."""

from typing import Any

from weightscope.components.attention import Attention
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.lfm2 import LFM2_BOTH, short_convolution
from weightscope.roles import Role
from weightscope.storage.linear import Linear

ROPES: dict[str, Any] = {
    SLIDING: {"rope_type": "default", "rope_theta": 10000.0},
    FULL: {"rope_type": "proportional", "rope_theta": 1000000.0, "partial_rotary_factor": 0.5},
}
LFM3 = LFM2_BOTH | {
    "vocab_size": 128000, "hidden_size": 2048, "intermediate_size": 7680, "num_hidden_layers": 24,
    "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128, "conv_L_cache": 7,
    "sliding_window": Nullable(int, 256), "use_sandwich_norm": True, "use_attention_gate": True,
    "attention_bias": False, "rope_parameters": Nullable(dict, ROPES, fills=True),
}  # fmt: skip
CONVOLVES = "conv"
KINDS = {kind: kind for kind in (CONVOLVES, FULL, SLIDING)}
# What a root stands for: the prefix, and the name of the gate.
IN_MEMORY = "model, as transformers 5 holds it"
SPELLED = {"model": ("model", "gate_proj"), "": ("", "gate_proj"), IN_MEMORY: ("model", "g_proj")}


@family("lfm3", roots=tuple(SPELLED), defaults=LFM3, attribute_map={"rms_norm_eps": "norm_eps"})
def lfm3(config: Config, root: str) -> CausalLM:
    """Of four layers two convolve, one sees a window and one everything, each kind with a rotation of its own."""
    s, norm, (prefix, gate) = Dims.of(config), rms_norms(config["norm_eps"]), SPELLED[root]
    kinds = layer_types(config, _kind, known=KINDS)
    gates = (Linear(gate, Role.ATTENTION_GATE),) if config["use_attention_gate"] else ()
    mlp = gated_mlp(config, "feed_forward", activation="silu", names=("w1", "w3", "w2"))
    bias, after = config["attention_bias"], config["use_sandwich_norm"]

    def attention(kind: str) -> Attention:
        return self_attention(
            s,
            (*four_projections(qkv_bias=bias, o_bias=bias), *gates),
            norms=head_norms(norm, s.head_dim),
            positions=rotary(config, s.head_dim, layers=kind, steps="float32"),
            sees=visible(config, config["sliding_window"] if kind == SLIDING else None),
            gates_heads=True,
        )

    def layer(i: int) -> Block:
        return Block(
            input_norm=norm("operator_norm", Role.INPUT_NORM, s.width),
            attention=short_convolution(config) if kinds[i] == CONVOLVES else attention(kinds[i]),
            attention_out_norm=norm("post_operator_norm", Role.POST_ATTENTION_NORM, s.width) if after else None,
            feed_forward_norm=norm("ffn_norm", Role.PRE_FEEDFORWARD_NORM, s.width),
            feed_forward=mlp,
            feed_forward_out_norm=norm("post_ffn_norm", Role.POST_FEEDFORWARD_NORM, s.width) if after else None,
        )

    return causal_lm(config, prefix, layer, final_norm=norm("embedding_norm", Role.FINAL_NORM, s.width))


def _kind(i: int) -> str:
    return FULL if i % 4 == 2 else SLIDING if i and i % 4 == 0 else CONVOLVES
