"""Seed-OSS (ByteDance 2025): Llama with biases on queries, keys and values. Source: `SeedOssConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

SEED_OSS = LLAMA | {
    "vocab_size": 155136, "intermediate_size": 27648, "num_hidden_layers": 64, "num_attention_heads": 80,
    "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int, 128), "max_position_embeddings": 524288,
    "attention_bias": True, "attention_out_bias": False,
}  # fmt: skip


@family("seed_oss", roots=("model", ""), defaults=SEED_OSS)
def seed_oss(config: Config, root: str) -> CausalLM:
    """The output projection's bias has a key of its own."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["attention_bias"], o_bias=config["attention_out_bias"]),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    feed_forward = gated_mlp(config, "mlp", bias=config["mlp_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
