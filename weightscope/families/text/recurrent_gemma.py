"""RecurrentGemma (arXiv 2404.07839): Griffin's recurrence, local attention. Source: `RecurrentGemmaConfig`."""

from __future__ import annotations

from math import sqrt
from typing import Any

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.recurrent.griffin import RecurrentUnit
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.hybrid import attention, hybrid
from weightscope.families.common.parts import four_projections, gated_mlp, rms_norms
from weightscope.families.common.rotary import rotary
from weightscope.families.common.rounding import bfloat16
from weightscope.families.registry import family
from weightscope.roles import Role

RECURRENT_GEMMA: dict[str, Any] = {
    "num_hidden_layers": 26,
    "vocab_size": 256000,
    "hidden_size": 2560,
    "intermediate_size": 7680,
    "num_attention_heads": 10,
    "num_key_value_heads": Nullable(int),
    "lru_width": Nullable(int),
    "attention_window_size": 2048,
    "conv1d_width": 4,
    "logits_soft_cap": 30.0,
    "rms_norm_eps": 1e-6,
    "hidden_activation": "gelu_pytorch_tanh",
    "block_types": ["recurrent", "recurrent", "attention"],
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "attention_bias": False,
    "tie_word_embeddings": True,
}


@family("recurrent_gemma", roots=("model", ""), defaults=RECURRENT_GEMMA)
def recurrent_gemma(config: Config, root: str) -> CausalLM:
    """`block_types` says what mixes the tokens, over and over; either half of `intermediate_size` is gate or up."""
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["rms_norm_eps"]
    head_dim, activation, types = width // heads, config["hidden_activation"], config["block_types"] or []
    if not types or set(map(str, types)) - {"recurrent", "attention"}:
        raise UndeclaredError(f"the block_types {types!r:.60} are not declared", where=config.source)
    mixers = {
        "recurrent": RecurrentUnit(
            name="temporal_block",
            width=width,
            inner=config["lru_width"] or width,
            heads=heads,
            kernel=config["conv1d_width"],
            activation=activation,
        ),
        "attention": attention(
            config,
            head_dim,
            four_projections(qkv_bias=config["attention_bias"], o_bias=True),
            name="temporal_block",
            rope=rotary(config, head_dim),
            window=int(config["attention_window_size"]),
        ),
    }

    norm, inner = rms_norms(eps, offset=1.0), config["intermediate_size"] // 2

    def block(kind: str) -> Block:
        return Block(
            input_norm=norm("temporal_pre_norm", Role.INPUT_NORM, width),
            attention=mixers[kind],
            feed_forward_norm=norm("channel_pre_norm", Role.PRE_FEEDFORWARD_NORM, width),
            feed_forward=gated_mlp(config, "mlp_block", inner=inner, bias=True, activation=activation),
        )

    kinds = [types[layer % len(types)] for layer in range(depth_of(config))]
    # The class keeps the scale of the embeddings in bfloat16.
    ends = {"final_norm": "final_norm", "embedding_scale": bfloat16(sqrt(width)), "softcap": config["logits_soft_cap"]}
    return hybrid(config, root, kinds, block, eps=eps, offset=1.0, **ends)
