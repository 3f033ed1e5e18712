"""StarCoder 2 (arXiv 2402.19173): layer norms and two matrices in the MLP. Source: `Starcoder2Config`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, layer_norms, rotary, visible
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

STARCODER2 = ROTARY | {
    "vocab_size": 49152, "hidden_size": 3072, "intermediate_size": 12288, "num_hidden_layers": 30,
    "num_attention_heads": 24, "num_key_value_heads": 2, "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 4096, "norm_epsilon": 1e-5, "sliding_window": Nullable(int), "use_bias": True,
    "tie_word_embeddings": True,
    # No field of the class, but its attention and rotation ask the config for it.
    "head_dim": Nullable(int),
}  # fmt: skip


@family("starcoder2", roots=("model", ""), defaults=STARCODER2)
def starcoder2(config: Config, root: str) -> CausalLM:
    """`use_bias` is for all matrices; every layer sees a window, if there is one."""
    s, norm, bias = Dims.of(config), layer_norms(config["norm_epsilon"]), config["use_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config, config["sliding_window"]),
    )
    inner, activation = config["intermediate_size"], config["hidden_act"]
    feed_forward = mlp(s.width, inner, activation, names=("c_fc", "c_proj"), bias=bias)
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
