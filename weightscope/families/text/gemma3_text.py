"""Gemma 3 (arXiv 2503.19786): norms of each head, two rotations. Source: `Gemma3TextConfig` of transformers."""

from math import sqrt

from weightscope.components.attention import EVERYTHING, Around, Scores, Sees
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.gemma import GEMMA2, sandwich
from weightscope.roles import Role

GEMMA3 = GEMMA2 | {
    "vocab_size": 262208, "num_key_value_heads": 4, "max_position_embeddings": 131072, "query_pre_attn_scalar": 256,
    "final_logit_softcapping": Nullable(float), "sliding_window_pattern": Nullable(int, 6),
    "use_bidirectional_attention": Nullable(bool, False), "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0,
}  # fmt: skip


@family("gemma3_text", roots=("model", ""), defaults=GEMMA3)
def gemma3_text(config: Config, root: str) -> CausalLM:
    """Five layers with a window and a rotation of their own, then one without; EmbeddingGemma sees both ways."""
    s, norm, bias = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"], offset=1.0), config["attention_bias"]
    every, scalar = config["sliding_window_pattern"], config["query_pre_attn_scalar"]
    kinds = layer_types(config, lambda i: SLIDING if (i + 1) % every else FULL)
    ropes = {kind: rotary(config, s.head_dim, layers=kind) for kind in (SLIDING, FULL)}

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=head_norms(norm, s.head_dim),
            positions=ropes[kinds[i]],
            sees=seen(config, slides=kinds[i] == SLIDING),
            # The class has attn_logit_softcapping, and its attention leaves it out.
            scores=Scores(scale=1 / sqrt(scalar) if scalar else None),
        )
        mlp = gated_mlp(config, "mlp", activation=config["hidden_activation"])
        return sandwich(norm, s.width, attention=attention, feed_forward=mlp)

    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, scale=sqrt(s.width)),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(cap=config["final_logit_softcapping"]),
    )


def seen(config: Config, *, slides: bool) -> Sees:
    """With `use_bidirectional_attention` the window lies half before and half behind a token."""
    window = config["sliding_window"] if slides else None
    if config["use_bidirectional_attention"]:
        return EVERYTHING if window is None else Around(int(window) // 2)
    return visible(config, window)
