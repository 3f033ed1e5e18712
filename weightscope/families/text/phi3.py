"""Phi-3 and Phi-4 (arXiv 2404.14219): Llama with q, k, v and gate, up fused. Source: `Phi3Config` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import fused_gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

PHI3 = LLAMA | {
    "vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "partial_rotary_factor": 1.0,
    "sliding_window": Nullable(int),
}  # fmt: skip


@family("phi3", roots=("model", ""), defaults=PHI3)
def phi3(config: Config, root: str) -> CausalLM:
    """Rows of `qkv_proj` are all queries, then all keys, then all values; of `gate_up_proj` all gates, then all ups."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        (Linear("qkv_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), Linear("o_proj", Role.O_PROJ)),
        # Phi3Config takes yarn for longrope, under its first name.
        positions=rotary(config, s.head_dim, named={"yarn": "longrope"}),
        sees=visible(config, config["sliding_window"]),
    )
    feed_forward = fused_gated_mlp(config, "mlp")
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
