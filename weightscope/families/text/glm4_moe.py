"""GLM-4.5 (arXiv 2508.06471): grouped attention over DeepSeek-V3's mixture. Source: `Glm4MoeConfig` of transformers."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.ahead import numbered
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.latent import mixture, sparse_layers
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, with_mixture
from weightscope.families.common.parts import four_projections
from weightscope.families.registry import family

GLM4_MOE = LLAMA | {
    "vocab_size": 151552,
    "intermediate_size": 10944,
    "num_hidden_layers": 46,
    "num_attention_heads": 96,
    "num_key_value_heads": Nullable(int, 8),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072,
    "partial_rotary_factor": 0.5,
    "moe_intermediate_size": 1408,
    "num_experts_per_tok": 8,
    "n_shared_experts": Nullable(int, 1),
    "n_routed_experts": 128,
    "routed_scaling_factor": 1.0,
    "n_group": Nullable(int, 1),
    "topk_group": Nullable(int, 1),
    "first_k_dense_replace": 1,
    "norm_topk_prob": True,
    "use_qk_norm": False,
    "num_nextn_predict_layers": Nullable(int, 1),
}


@family("glm4_moe", roots=ROOTS, defaults=GLM4_MOE, aliases={"num_nextn_predict_layers": "num_mtp_layers"})
def glm4_moe(config: Config, root: str) -> CausalLM:
    """Half of each head is turned; norms on each head's queries and keys only where the config says so."""
    prefix, stacked = spelling(root)
    projections = four_projections(qkv_bias=config["attention_bias"])
    model = decoder(config, prefix, projections=projections, head_norms=config["use_qk_norm"])
    mixed = mixture(config, stacked=stacked)
    block = model.decoder.blocks[0].child
    assert isinstance(block, Block)
    extras = numbered(config, prefix, replace(block, feed_forward=mixed))
    return replace(with_mixture(model, sparse_layers(config), mixed), extras=extras)
