"""Youtu-LLM (Tencent 2025, arXiv 2512.24618): latent attention as in DeepSeek-V3, no mixture. Source: `YoutuConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, causal_lm, rms_norms, rotary
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import latent_attention, turns_in_part
from weightscope.roles import Role

YOUTU = ROTARY | {
    "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 32,
    "num_attention_heads": 16, "q_lora_rank": Nullable(int, 1536), "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "max_position_embeddings": 131072, "rope_interleave": True, "attention_bias": False, "tie_word_embeddings": True,
}  # fmt: skip


@family("youtu", roots=("model", ""), defaults=YOUTU)
def youtu(config: Config, root: str) -> CausalLM:
    """Tied unless the config says otherwise."""
    width, norm = config["hidden_size"], rms_norms(config["rms_norm_eps"])
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=config["rope_interleave"])
    attention = latent_attention(config, rope)
    block = pre_norm_block(norm, width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    refused = turns_in_part(config, rope, "Youtu-LLM")
    final_norm = norm("norm", Role.FINAL_NORM, width)
    return causal_lm(config, root, lambda _: block, final_norm=final_norm, refused=refused)
