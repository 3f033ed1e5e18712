"""Llama 3.2 Vision's language model (Meta 2024): Llama with layers between that look at images.

Source: `MllamaTextConfig` of transformers.
"""

from weightscope.components.attention.cross import CrossAttention, CrossBlock
from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Embedding
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, rms_norms, rotary
from weightscope.families.common.causal_lm import Output
from weightscope.families.common.numbers import listed
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

MLLAMA = ROTARY | {
    "vocab_size": 128256, "hidden_size": 4096, "hidden_act": "silu", "num_hidden_layers": 40,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072, "rope_theta": 500000.0,
    "cross_attention_layers": Nullable(list, [3, 8, 13, 18, 23, 28, 33, 38], fills=True),
}  # fmt: skip


@family("mllama_text_model", roots=("model", ""), defaults=MLLAMA)
def mllama_text_model(config: Config, root: str) -> CausalLM:
    """The embedding has 8 rows more than the head, for images and what else is never predicted."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    mlp, crossing = gated_mlp(config, "mlp"), listed(config, "cross_attention_layers")
    plain = pre_norm_block(
        norm,
        s.width,
        attention=self_attention(s, four_projections(), positions=rotary(config, s.head_dim)),
        feed_forward=mlp,
    )
    cross = CrossBlock(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=CrossAttention(
            name="cross_attn",
            projections=four_projections(),
            width=s.width,
            heads=s.heads,
            norms=head_norms(norm, s.head_dim),
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp,
        gates=("cross_attn_attn_gate", "cross_attn_mlp_gate"),
    )

    def layer(i: int) -> Component:
        return cross if i in crossing else plain

    return causal_lm(
        config,
        root,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        embedding=Embedding(name="embed_tokens", rows=config["vocab_size"] + 8, width=s.width),
        output=Output(tied=False),
    )
