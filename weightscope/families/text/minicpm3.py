"""MiniCPM 3 (OpenBMB 2024, arXiv 2404.06395): latent attention, scaled sums. Source: `MiniCPM3Config`."""

from math import sqrt

from weightscope.components.attention.latent import LatentAttention
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.numbers import divisor
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.roles import Role

MINICPM3 = LLAMA | {
    "vocab_size": 73448, "hidden_size": 2560, "intermediate_size": 6400, "num_hidden_layers": 62,
    "num_attention_heads": 40, "num_key_value_heads": Nullable(int, 40), "rms_norm_eps": 1e-5,
    "max_position_embeddings": 32768, "tie_word_embeddings": True, "kv_lora_rank": 256,
    "q_lora_rank": Nullable(int, 768), "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": Nullable(int),
    "scale_emb": 12.0, "scale_depth": Nullable(float, 1.4), "dim_model_base": Nullable(float, 256),
}  # fmt: skip


@family("minicpm3", roots=("model", ""), defaults=MINICPM3)
def minicpm3(config: Config, root: str) -> CausalLM:
    """What each half adds is scaled by the depth, logits by the width."""
    width, heads, norm = config["hidden_size"], config["num_attention_heads"], rms_norms(config["rms_norm_eps"])
    deep, base, rope_dim = config["scale_depth"], config["dim_model_base"], config["qk_rope_head_dim"]
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=LatentAttention(
            name="self_attn",
            width=width,
            heads=heads,
            q_rank=config["q_lora_rank"],
            kv_rank=config["kv_lora_rank"],
            nope=config["qk_nope_head_dim"],
            rope_dim=rope_dim,
            v_dim=config["v_head_dim"] or width // heads,
            rope=rotary(config, rope_dim),
            bias=config["attention_bias"],
            sees=visible(config),
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"]),
        residual_scale=1.0 if deep is None else float(deep) / sqrt(max(config["num_hidden_layers"], 1)),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, scale=float(config["scale_emb"])),
        final_norm=norm("norm", Role.FINAL_NORM, width),
        output=Output(scale=1.0 if base is None else float(base) / divisor(config, "hidden_size")),
    )
