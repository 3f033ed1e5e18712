"""Helium (Kyutai 2025): Llama that rotates neighbours. Source: `HeliumConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

HELIUM = LLAMA | {
    "vocab_size": 48000, "hidden_size": 2560, "intermediate_size": 7040, "num_hidden_layers": 24,
    "num_attention_heads": 20, "num_key_value_heads": 20, "head_dim": 128, "rms_norm_eps": 1e-8,
    "max_position_embeddings": 4096, "rope_theta": 100000.0,
}  # fmt: skip


@family("helium", roots=("model", ""), defaults=HELIUM)
def helium(config: Config, root: str) -> CausalLM:
    """`attention_bias` is for queries, keys and values alone; the class's o_proj is as wide as it is high."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"], wide=True)
    if s.queries != s.width:
        raise config.error(f"num_attention_heads · head_dim is {s.queries:,}, and must be hidden_size, {s.width:,}")
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["attention_bias"]),
        positions=rotary(config, s.head_dim, interleaved=True),
        sees=visible(config),
    )
    feed_forward = gated_mlp(config, "mlp", bias=config["mlp_bias"])
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
