"""RecurrentGemma (arXiv 2404.07839): Griffin's recurrence, local attention. Source: `RecurrentGemmaConfig`."""

from math import sqrt

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.recurrent.griffin import RecurrentUnit
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.numbers import bfloat16
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

RECURRENT_GEMMA = ROTARY | {
    "num_hidden_layers": 26, "vocab_size": 256000, "hidden_size": 2560, "intermediate_size": 7680,
    "num_attention_heads": 10, "num_key_value_heads": Nullable(int), "head_dim": Nullable(int),
    "lru_width": Nullable(int), "attention_window_size": 2048, "conv1d_width": 4, "logits_soft_cap": 30.0,
    "rms_norm_eps": 1e-6, "hidden_activation": "gelu_pytorch_tanh",
    "block_types": ["recurrent", "recurrent", "attention"], "partial_rotary_factor": 0.5, "attention_bias": False,
    "tie_word_embeddings": True,
}  # fmt: skip
ATTRIBUTES = {"sliding_window": "attention_window_size"}


@family("recurrent_gemma", roots=("model", ""), defaults=RECURRENT_GEMMA, attribute_map=ATTRIBUTES)
def recurrent_gemma(config: Config, root: str) -> CausalLM:
    """`block_types` says what mixes the tokens, over and over; either half of `intermediate_size` is gate or up."""
    s, activation, types = Dims.of(config), config["hidden_activation"], config["block_types"] or []
    if activation is None:
        raise config.error("hidden_activation is null, not a string", "restore it from the model's repository")
    if not types or set(map(str, types)) - {"recurrent", "attention"}:
        raise config.undeclared(f"the block_types {types!r:.60} are not declared")
    recurrent = RecurrentUnit(
        name="temporal_block",
        width=s.width,
        inner=config["lru_width"] or s.width,
        heads=s.heads.count,
        kernel=config["conv1d_width"],
        activation=activation,
    )
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["attention_bias"], o_bias=True),
        name="temporal_block",
        positions=rotary(config, s.head_dim),
        sees=visible(config, config["attention_window_size"]),
    )
    norm, inner = rms_norms(config["rms_norm_eps"], offset=1.0), config["intermediate_size"] // 2

    def layer(i: int) -> Block:
        return Block(
            input_norm=norm("temporal_pre_norm", Role.INPUT_NORM, s.width),
            attention=attention if types[i % len(types)] == "attention" else recurrent,
            feed_forward_norm=norm("channel_pre_norm", Role.PRE_FEEDFORWARD_NORM, s.width),
            feed_forward=gated_mlp(config, "mlp_block", inner=inner, bias=True, activation=activation),
        )

    return causal_lm(
        config,
        root,
        layer,
        # The class keeps the scale of the embeddings in bfloat16.
        embedding=token_embedding(config, scale=bfloat16(sqrt(s.width))),
        final_norm=norm("final_norm", Role.FINAL_NORM, s.width),
        output=Output(cap=config["logits_soft_cap"]),
    )
