"""Jais 2 (Inception 2025): Llama with layer norms, biases and a squared ReLU. Source: `Jais2Config`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, layer_norms, rotary, visible
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

JAIS2 = ROTARY | {
    "vocab_size": 150272, "hidden_size": 3328, "intermediate_size": 26624, "num_hidden_layers": 32,
    "num_attention_heads": 26, "num_key_value_heads": Nullable(int), "head_dim": Nullable(int), "hidden_act": "relu2",
    "max_position_embeddings": 8192, "layer_norm_eps": 1e-5, "attention_bias": True, "mlp_bias": True,
}  # fmt: skip


@family("jais2", roots=("model", ""), defaults=JAIS2)
def jais2(config: Config, root: str) -> CausalLM:
    """Biases on all projections or none, on both matrices of the MLP or none."""
    s, norm, bias = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"]), config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    feed_forward = mlp(s.width, config["intermediate_size"], config["hidden_act"], bias=config["mlp_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
