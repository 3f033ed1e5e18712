"""Nemotron-4, Minitron (arXiv 2402.16819): layer norms that multiply by 1 + w. Source: `NemotronConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, layer_norms, rotary
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

NEMOTRON = ROTARY | {
    "vocab_size": 256000, "hidden_size": 6144, "intermediate_size": 24576, "num_hidden_layers": 32,
    "num_attention_heads": 48, "num_key_value_heads": Nullable(int), "head_dim": Nullable(int), "hidden_act": "relu2",
    "max_position_embeddings": 4096, "norm_eps": 1e-5, "partial_rotary_factor": 0.5, "attention_bias": False,
    "mlp_bias": False,
}  # fmt: skip


@family("nemotron", roots=("model", ""), defaults=NEMOTRON)
def nemotron(config: Config, root: str) -> CausalLM:
    """Half of each head is rotated; `is_causal` does not reach the layers of transformers' class."""
    s, norm, bias = Dims.of(config), layer_norms(config["norm_eps"], offset=1.0), config["attention_bias"]
    projections = four_projections(qkv_bias=bias, o_bias=bias)
    attention = self_attention(s, projections, positions=rotary(config, s.head_dim))
    feed_forward = mlp(s.width, config["intermediate_size"], config["hidden_act"], bias=config["mlp_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
