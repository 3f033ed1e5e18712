"""GPT-NeoX (arXiv 2204.06745) and Pythia: rotary attention beside the MLP. Source: `GPTNeoXConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.mlp import MLP
from weightscope.components.norm import LayerNorm
from weightscope.components.rope import Rope
from weightscope.config import Config
from weightscope.families.common.parts import head
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer

GPT_NEOX: dict[str, Any] = {
    "vocab_size": 50432,
    "hidden_size": 6144,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "intermediate_size": 24576,
    "hidden_act": "gelu",
    "rotary_pct": 0.25,
    "rotary_emb_base": 10000,
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "use_parallel_residual": True,
    "attention_bias": True,
    "tie_word_embeddings": False,
}


@family("gpt_neox", roots=("gpt_neox", ""), defaults=GPT_NEOX)
def gpt_neox(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` are, head by head, its query, key and value."""
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    head_dim, positions, bias = width // heads, config["max_position_embeddings"], config["attention_bias"]
    rope = Rope.of(config, head_dim)
    block = Block(
        input_norm=LayerNorm(name="input_layernorm", role=Role.INPUT_NORM, size=width, eps=eps),
        attention=Attention(
            name="attention",
            items=(
                Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias, groups=heads),
                Linear("dense", Role.O_PROJ, bias=bias),
                rope.table("rotary_emb.inv_freq"),
                Buffer("bias", Role.CAUSAL_MASK, (Size(1), Size(1), positions, positions)),
                Buffer("masked_bias", Role.CAUSAL_MASK, ()),
            ),
            width=width,
            heads=heads,
            kv_heads=heads,
            head_dim=head_dim,
            rope=rope,
        ),
        feed_forward_norm=LayerNorm(
            name="post_attention_layernorm", role=Role.POST_ATTENTION_NORM, size=width, eps=eps
        ),
        feed_forward=MLP(
            name="mlp",
            items=(
                Linear("dense_h_to_4h", Role.UP_PROJ, bias=True),
                Linear("dense_4h_to_h", Role.DOWN_PROJ, bias=True),
            ),
            width=width,
            inner=config["intermediate_size"],
            activation=config["hidden_act"],
        ),
        parallel=config["use_parallel_residual"],
    )
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_in", rows=config["vocab_size"], width=width),
            blocks=(Repeat(name="layers", indices=range(config["num_hidden_layers"]), child=block),),
            final_norm=LayerNorm(name="final_layer_norm", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=config["num_hidden_layers"],
        ),
        head=head(config, root, name="embed_out", tagger="classifier"),
    )
