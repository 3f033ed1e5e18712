"""Phi-3 and Phi-4 (arXiv 2404.14219): Llama with q, k, v and gate, up fused. Source: `Phi3Config` of transformers."""

from __future__ import annotations

from weightscope.components.attention import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.mlp import GatedMLP
from weightscope.components.norm import RMSNorm
from weightscope.components.rope import Rope
from weightscope.components.windows import by_window
from weightscope.config import Config, Nullable
from weightscope.families.llama import LLAMA, head
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

PHI3 = LLAMA | {
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "rms_norm_eps": 1e-5,
    "partial_rotary_factor": 1.0,
    "sliding_window": Nullable(int),
}


@family("phi3", roots=("model", ""), defaults=PHI3)
def phi3(config: Config, root: str) -> CausalLM:
    """Rows of `qkv_proj` are all queries, then all keys, then all values; of `gate_up_proj` all gates, then all ups."""
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["rms_norm_eps"]
    head_dim = config["head_dim"] or width // heads
    rope = Rope.of(config, head_dim)

    def block(window: int | None) -> Block:
        return Block(
            input_norm=RMSNorm(name="input_layernorm", role=Role.INPUT_NORM, size=width, eps=eps),
            attention=Attention(
                name="self_attn",
                items=(
                    Linear("qkv_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ),
                    Linear("o_proj", Role.O_PROJ),
                    rope.table("rotary_emb.inv_freq"),
                ),
                width=width,
                heads=heads,
                kv_heads=config["num_key_value_heads"] or heads,
                head_dim=head_dim,
                rope=rope,
                window=window,
            ),
            feed_forward_norm=RMSNorm(
                name="post_attention_layernorm", role=Role.POST_ATTENTION_NORM, size=width, eps=eps
            ),
            feed_forward=GatedMLP(
                name="mlp",
                items=(
                    Linear("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ),
                    Linear("down_proj", Role.DOWN_PROJ),
                ),
                width=width,
                inner=config["intermediate_size"],
                activation=config["hidden_act"],
            ),
        )

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width),
            blocks=tuple(
                Repeat(name="layers", indices=layers, child=block(window))
                for layers, window in by_window(config, lambda _: True)
            ),
            final_norm=RMSNorm(name="norm", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=config["num_hidden_layers"],
        ),
        head=head(config, root),
    )
