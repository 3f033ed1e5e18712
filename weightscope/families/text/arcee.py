"""AFM-4.5B (Arcee 2025): Llama with two matrices and a squared ReLU in the MLP. Source: `ArceeConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

ARCEE = LLAMA | {
    "hidden_size": 2560, "intermediate_size": 18432, "hidden_act": "relu2", "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096,
}  # fmt: skip


@family("arcee", roots=("model", ""), defaults=ARCEE)
def arcee(config: Config, root: str) -> CausalLM:
    """Biases on all projections or none, on both matrices of the MLP or none."""
    s, norm = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["attention_bias"], o_bias=config["attention_bias"]),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    feed_forward = mlp(s.width, config["intermediate_size"], config["hidden_act"], bias=config["mlp_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
