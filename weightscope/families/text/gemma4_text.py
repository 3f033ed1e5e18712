"""Gemma 4 (Google 2026): wider heads where a layer sees everything. Source: `Gemma4TextConfig` of transformers."""

from math import sqrt

from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.layer_inputs import LayerInput, LayerScale
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, Output, numbered, rms_norms, token_embedding
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.gemma import GEMMA, layer_inputs, sandwich, shared_attention, sharing
from weightscope.families.siblings.gemma4 import beside_mixture, heads_of, seen
from weightscope.roles import Role

ROTATIONS = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
}
GEMMA4 = GEMMA | {
    "vocab_size": 262144, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 30,
    "num_attention_heads": 8, "num_key_value_heads": 4, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 512,
    "layer_types": Nullable(list), "final_logit_softcapping": Nullable(float), "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": Nullable(int, 256), "attention_k_eq_v": False, "num_kv_shared_layers": 0,
    "enable_moe_block": False, "num_experts": Nullable(int), "top_k_experts": Nullable(int),
    "moe_intermediate_size": Nullable(int), "use_double_wide_mlp": False, "use_bidirectional_attention": Nullable(str),
    "global_head_dim": Nullable(int, 512), "num_global_key_value_heads": Nullable(int),
    "per_layer_config": Nullable(dict, {}), "rope_parameters": Nullable(dict, ROTATIONS, fills=True),
}  # fmt: skip
# Its class has no inputs for each layer, and no mixture.
LACKS = {
    "vocab_size_per_layer_input", "hidden_size_per_layer_input", "enable_moe_block", "num_experts", "top_k_experts",
    "moe_intermediate_size",
}  # fmt: skip
UNIFIED = {key: value for key, value in GEMMA4.items() if key not in LACKS} | {
    "max_position_embeddings": 262144,
    "sliding_window": 1024,
    "use_bidirectional_attention": Nullable(str, "vision"),
}


@family("gemma4_unified_text", roots=("model", "model.language_model", ""), defaults=UNIFIED)
def gemma4_unified_text(config: Config, root: str) -> CausalLM:
    """The language model of Gemma 4 12B."""
    return gemma4_text(config, root)


@family("gemma4_text", roots=("model", "model.language_model", ""), defaults=GEMMA4)
def gemma4_text(config: Config, root: str) -> CausalLM:
    """The last layer sees everything; those that take others' keys may have an MLP of twice the width."""
    s, eps = Dims.of(config), config["rms_norm_eps"]
    whole = config.declares("enable_moe_block")
    inner = config["hidden_size_per_layer_input"] if whole else None
    norm, kinds = rms_norms(eps), layer_types(config, lambda i: SLIDING if (i + 1) % 6 else FULL, last=FULL)
    modes, activation = sharing(config, kinds), config["hidden_activation"]
    given = LayerInput(width=s.width, inner=inner, activation=activation, eps=eps) if inner else None

    def layer(i: int) -> Block:
        full = kinds[i] == FULL
        wide = config["intermediate_size"] * (2 if config["use_double_wide_mlp"] and modes[i] == "takes" else 1)
        mlp = gated_mlp(config, "mlp", inner=wide, activation=activation)
        heads, same = heads_of(config, s, i, full=full), config["attention_k_eq_v"] and full
        attention = shared_attention(
            config, heads, kinds[i], modes[i], sees=seen(config, full=full), keys_are_values=same
        )
        after = (*((given,) if given else ()), LayerScale())
        if not (whole and config["enable_moe_block"]):
            return sandwich(norm, s.width, attention=attention, feed_forward=mlp, after=after)
        return beside_mixture(config, norm, attention, mlp, after)

    decoder = Decoder(
        name=root,
        embedding=token_embedding(config, scale=sqrt(s.width)),
        layer_inputs=layer_inputs(config) if inner else None,
        blocks=numbered("layers", s.depth, layer),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        depth=s.depth,
    )
    return CausalLM(decoder=decoder, head=Output(cap=config["final_logit_softcapping"]).of(config, root, s.width))
