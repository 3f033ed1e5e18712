"""Apertus (arXiv 2509.14233): head norms, and a learned activation in the MLP. Source: `ApertusConfig`."""

from typing import Any

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.xielu import XIELU
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, head_norms, mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

LLAMA3: dict[str, Any] = {
    "rope_type": "llama3", "rope_theta": 12000000.0, "factor": 8.0, "original_max_position_embeddings": 8192,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0,
}  # fmt: skip
APERTUS = LLAMA | {
    "vocab_size": 131072, "intermediate_size": 14336, "hidden_act": "xielu", "rms_norm_eps": 1e-5,
    "max_position_embeddings": 65536, "rope_theta": 12000000.0,
    "rope_parameters": Nullable(dict, LLAMA3, fills=True),
}  # fmt: skip


@family("apertus", roots=("model", ""), defaults=APERTUS)
def apertus(config: Config, root: str) -> CausalLM:
    """The norms before each half have names of their own."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    learned = XIELU(name="act_fn") if config["hidden_act"] == "xielu" else None
    block = Block(
        input_norm=norm("attention_layernorm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=head_norms(norm, s.head_dim),
            positions=rotary(config, s.head_dim),
            sees=visible(config),
        ),
        feed_forward_norm=norm("feedforward_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, config["intermediate_size"], config["hidden_act"], learned=learned),
    )
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
