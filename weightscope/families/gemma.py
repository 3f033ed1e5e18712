"""Gemma (arXiv 2403.08295) and Gemma 2 (arXiv 2408.00118). Sources: `GemmaConfig`, `Gemma2Config` of transformers."""

from __future__ import annotations

from math import sqrt
from typing import Any

from weightscope.components.attention import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.norm import RMSNorm
from weightscope.components.rope import Rope
from weightscope.components.windows import by_window
from weightscope.config import Config, Nullable
from weightscope.families.common.parts import four_projections, gated_mlp, head
from weightscope.families.registry import family
from weightscope.roles import Role

GEMMA: dict[str, Any] = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 16),
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 8192,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "attention_bias": False,
}
GEMMA2 = GEMMA | {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": Nullable(int, 4),
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": Nullable(int, 256),
    "sliding_window": Nullable(int, 4096),
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}


@family("gemma", roots=("model", ""), defaults=GEMMA)
def gemma(config: Config, root: str) -> CausalLM:
    """One norm before each half, as in Llama."""
    return decoder(config, root, ("input_layernorm", None, "post_attention_layernorm", None))


@family("gemma2", roots=("model", ""), defaults=GEMMA2)
def gemma2(config: Config, root: str) -> CausalLM:
    """Norms before and after each half, capped scores and logits, a window in every other layer from the first."""
    norms = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    return decoder(config, root, norms)


def decoder(config: Config, root: str, norm_names: tuple[str, str | None, str, str | None]) -> CausalLM:
    """Embeddings scaled by sqrt(width), norms that multiply by 1 + w, a GELU gate."""
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["rms_norm_eps"]
    head_dim, bias, rope = config["head_dim"], config["attention_bias"], Rope.of(config, config["head_dim"])
    scalar = config.get("query_pre_attn_scalar")
    # The published Gemma says "gelu" and means the tanh approximation, as its config class mends it.
    named = config.get("hidden_activation") or config["hidden_act"]
    activation = "gelu_pytorch_tanh" if named == "gelu" and scalar is None else named
    before, after, feed_forward, feed_forward_after = norm_names

    def norm(name: str, role: Role) -> RMSNorm:
        return RMSNorm(name=name, role=role, size=width, eps=eps, offset=1.0)

    def block(window: int | None) -> Block:
        return Block(
            input_norm=norm(before, Role.INPUT_NORM),
            attention=Attention(
                name="self_attn",
                items=(*four_projections(qkv_bias=bias, o_bias=bias), rope.table("rotary_emb.inv_freq")),
                width=width,
                heads=heads,
                kv_heads=config["num_key_value_heads"] or heads,
                head_dim=head_dim,
                rope=rope,
                window=window,
                softcap=config.get("attn_logit_softcapping"),
                scale=1 / sqrt(scalar) if scalar else None,
            ),
            attention_out_norm=norm(after, Role.POST_ATTENTION_NORM) if after else None,
            feed_forward_norm=norm(feed_forward, Role.PRE_FEEDFORWARD_NORM if after else Role.POST_ATTENTION_NORM),
            feed_forward=gated_mlp(config, "mlp", activation=activation),
            feed_forward_out_norm=norm(feed_forward_after, Role.POST_FEEDFORWARD_NORM) if feed_forward_after else None,
        )

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width, scale=sqrt(width)),
            blocks=tuple(
                Repeat(name="layers", indices=layers, child=block(window))
                for layers, window in by_window(config, lambda layer: layer % 2 == 0)
            ),
            final_norm=norm("norm", Role.FINAL_NORM),
            depth=config["num_hidden_layers"],
        ),
        head=head(config, root, softcap=config.get("final_logit_softcapping")),
    )
