"""Phi 1, 1.5 and 2 (arXiv 2309.05463): attention beside the MLP after one layer norm. Source: `PhiConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import layer_norms, linears, mlp
from weightscope.families.registry import family
from weightscope.roles import Role

PHI: dict[str, Any] = {
    "vocab_size": 51200,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int),
    "hidden_act": "gelu_new",
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "qk_layernorm": False,
}


@family("phi", roots=("model", ""), defaults=PHI)
def phi(config: Config, root: str) -> CausalLM:
    """All matrices have a bias, the head too; the output projection is called dense."""
    norm = layer_norms(config["layer_norm_eps"])
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    pair = (("q_layernorm", Role.Q_NORM), ("k_layernorm", Role.K_NORM)) if config["qk_layernorm"] else ()
    names = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "dense": Role.O_PROJ}
    return decoder(
        config,
        root,
        projections=linears(names, bias=True),
        head_norms=tuple(norm(name, role, head_dim) for name, role in pair),
        feed_forward=mlp(config, "mlp", names=("fc1", "fc2"), bias=True),
        norm=norm,
        norm_names=("input_layernorm", None),
        final_norm="final_layernorm",
        block={"parallel": True},
        heads={"bias": True},
    )
