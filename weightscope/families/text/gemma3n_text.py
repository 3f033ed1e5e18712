"""Gemma 3n (Google 2025): several streams, an input for each layer, shared keys. Source: `Gemma3nTextConfig`."""

from __future__ import annotations

from weightscope.components.altup import AltUp, AltUpBlock, Laurel, Streams
from weightscope.components.decoder import CausalLM
from weightscope.components.layer_inputs import LayerInput
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.parts import pattern
from weightscope.families.common.rotary import rotary
from weightscope.families.common.shared_keys import Sharing, by_layer, decoder, layer_kinds, sandwich, shared_attention
from weightscope.families.registry import family
from weightscope.families.text.gemma import GEMMA
from weightscope.sizes import Size

GEMMA3N = GEMMA | {
    "vocab_size": 262400,
    "hidden_size": 2048,
    "intermediate_size": Nullable(object, 16384),
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 32768,
    "rope_theta": 1000000.0,
    "rope_local_base_freq": 10000.0,
    "sliding_window": 512,
    "final_logit_softcapping": Nullable(float, 30.0),
    "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": 256,
    "altup_active_idx": 0,
    "altup_correct_scale": True,
    "altup_num_inputs": 4,
    "num_kv_shared_layers": 15,
    "laurel_rank": 64,
    "activation_sparsity_pattern": Nullable(list),
}


@family("gemma3n_text", roots=("model", "model.language_model", ""), defaults=GEMMA3N)
def gemma3n_text(config: Config, root: str) -> CausalLM:
    """The width of the MLP and how much of its gate is cut off may differ by layer."""
    width, eps, streams = config["hidden_size"], config["rms_norm_eps"], config["altup_num_inputs"]
    inner, activation = config["hidden_size_per_layer_input"], config["hidden_activation"]
    widths = by_layer(config, "intermediate_size", config["intermediate_size"])
    depth, cut = depth_of(config), config["activation_sparsity_pattern"]
    first = 10 if depth > 10 else 0
    cuts = (
        [0.95] * first + [0.0] * (depth - first)
        if cut is None
        else by_layer(config, "activation_sparsity_pattern", cut)
    )

    def block(kind: str, mode: Sharing, head_dim: Size, kv_heads: Size, wide: Size, sparsity: float) -> AltUpBlock:
        rope = rotary(config, head_dim, layers=kind)
        attention = shared_attention(config, kind, mode, head_dim=head_dim, kv_heads=kv_heads, rope=rope)
        return AltUpBlock(
            block=sandwich(config, attention, wide, sparsity=sparsity),
            altup=AltUp(name="altup", width=width, streams=streams, leading=int(config["altup_active_idx"]), eps=eps),
            laurel=Laurel(name="laurel", width=width, rank=config["laurel_rank"], eps=eps),
            layer_input=LayerInput(width=width, inner=inner, activation=activation, eps=eps),
            scaled=config["altup_correct_scale"],
        )

    return decoder(
        config,
        root,
        layer_kinds(config, pattern(config, 5, None)),
        block,
        further=lambda layer: (widths[layer], cuts[layer]),
        enter=Streams(width=width, streams=streams),
        leave=Streams(width=width, streams=streams, leaving=True),
    )
