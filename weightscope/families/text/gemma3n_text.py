"""Gemma 3n (Google 2025): streams, and layers that share keys. Source: `Gemma3nTextConfig` of transformers."""

from math import sqrt

from weightscope.components.altup import AltUp, AltUpBlock, Laurel, Streams
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.layer_inputs import LayerInput
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, Output, numbered, rms_norms, token_embedding, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.gemma import GEMMA, by_layer, layer_inputs, sandwich, shared_attention, sharing
from weightscope.roles import Role

GEMMA3N = GEMMA | {
    "vocab_size": 262400, "hidden_size": 2048, "intermediate_size": Nullable(object, 16384), "num_hidden_layers": 35,
    "num_attention_heads": 8, "num_key_value_heads": 2, "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "sliding_window": 512,
    "layer_types": Nullable(list), "final_logit_softcapping": Nullable(float, 30.0),
    "vocab_size_per_layer_input": 262144, "hidden_size_per_layer_input": 256, "altup_active_idx": 0,
    "altup_correct_scale": True, "altup_num_inputs": 4, "num_kv_shared_layers": 15, "laurel_rank": 64,
    "activation_sparsity_pattern": Nullable(object),
}  # fmt: skip


@family("gemma3n_text", roots=("model", "model.language_model", ""), defaults=GEMMA3N)
def gemma3n_text(config: Config, root: str) -> CausalLM:
    """The width of the MLP and how much of its gate is cut off may differ by layer."""
    s, eps, streams = Dims.of(config, even=True), config["rms_norm_eps"], config["altup_num_inputs"]
    norm, inner, activation = rms_norms(eps), config["hidden_size_per_layer_input"], config["hidden_activation"]
    kinds = layer_types(config, lambda i: SLIDING if (i + 1) % 5 else FULL)
    modes, widths = sharing(config, kinds), by_layer(config, "intermediate_size", config["intermediate_size"])
    first, cut = 10 if s.depth > 10 else 0, config["activation_sparsity_pattern"]
    usual = [0.95] * first + [0.0] * (s.depth - first)
    cuts = by_layer(config, "activation_sparsity_pattern", usual if cut is None else cut)

    def layer(i: int) -> AltUpBlock:
        sees = visible(config, config["sliding_window"] if kinds[i] == SLIDING else None)
        attention = shared_attention(config, s.heads, kinds[i], modes[i], sees=sees)
        mlp = gated_mlp(config, "mlp", inner=widths[i], activation=activation, sparsity=float(cuts[i]))
        return AltUpBlock(
            block=sandwich(norm, s.width, attention=attention, feed_forward=mlp),
            altup=AltUp(name="altup", width=s.width, streams=streams, leading=int(config["altup_active_idx"]), eps=eps),
            laurel=Laurel(name="laurel", width=s.width, rank=config["laurel_rank"], eps=eps),
            layer_input=LayerInput(width=s.width, inner=inner, activation=activation, eps=eps),
            scaled=config["altup_correct_scale"],
        )

    decoder = Decoder(
        name=root,
        embedding=token_embedding(config, scale=sqrt(s.width)),
        layer_inputs=layer_inputs(config),
        enter=Streams(width=s.width, streams=streams),
        blocks=numbered("layers", s.depth, layer),
        leave=Streams(width=s.width, streams=streams, leaving=True),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        depth=s.depth,
    )
    head = Output(cap=config["final_logit_softcapping"]).of(config, root, s.width)
    return CausalLM(decoder=decoder, head=head)
