"""DeepSeek-V4 (2026): compressed keys, several residual streams, experts by token. Source: `DeepseekV4Config`.

SGLang's FP8 conversion calls the type `deepseek_ref`.
"""

from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.hyper import HyperBlock, IntoStreams
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Output, depth_of, numbered, rms_norms, token_embedding
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek_v4 import (
    LAYOUTS,
    v4_ahead,
    v4_block,
    v4_kinds,
    v4_mixtures,
    v4_rope,
    v4_streams,
)
from weightscope.roles import Role

DEEPSEEK_V4 = DECODER | {
    "vocab_size": 129280, "hidden_size": 4096, "moe_intermediate_size": 2048, "num_hidden_layers": 43,
    "num_attention_heads": 64, "head_dim": 512, "q_lora_rank": 1024, "num_experts_per_tok": 6, "n_routed_experts": 256,
    "scoring_func": "sqrtsoftplus", "routed_scaling_factor": 1.5, "max_position_embeddings": 1048576,
    "rope_theta": 10000.0, "compress_rope_theta": 160000.0, "rope_parameters": Nullable(dict),
    "rope_scaling": Nullable(dict), "partial_rotary_factor": Nullable(float), "qk_rope_head_dim": Nullable(int),
    "layer_types": Nullable(list), "compress_ratios": Nullable(list), "compress_rates": Nullable(dict),
    "compress_rate_csa": Nullable(int), "compress_rate_hca": Nullable(int), "mlp_layer_types": Nullable(list),
    "num_hash_layers": Nullable(int), "hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6, "swiglu_limit": 10.0,
    "sliding_window": 128, "o_groups": 8, "o_lora_rank": 1024, "index_n_heads": 64, "index_head_dim": 128,
    "index_topk": 512, "num_nextn_predict_layers": 1, "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "mlp_bias": False,
}  # fmt: skip
ATTRIBUTES = {"num_local_experts": "n_routed_experts", "intermediate_size": "moe_intermediate_size"}
COMPUTED = {"scoring_func": ("sqrtsoftplus", "sigmoid"), "is_causal": (True, None)}


@family("deepseek_ref", roots=tuple(LAYOUTS), defaults=DEEPSEEK_V4, attribute_map=ATTRIBUTES)
@family("deepseek_v4", roots=tuple(LAYOUTS), defaults=DEEPSEEK_V4, attribute_map=ATTRIBUTES)
def deepseek_v4(config: Config, root: str) -> CausalLM:
    """The head reads what the streams give at the end; what predicts ahead is published below `mtp`."""
    layout, width, norm = LAYOUTS[root], config["hidden_size"], rms_norms(config["rms_norm_eps"])
    kinds, mixtures, depth = v4_kinds(config), v4_mixtures(config), depth_of(config)

    def layer(i: int) -> HyperBlock:
        return v4_block(config, layout, kinds[i], mixtures[i])

    decoder = Decoder(
        name=layout.prefix,
        embedding=token_embedding(config, layout.embedding),
        enter=IntoStreams(streams=config["hc_mult"]),
        blocks=numbered("layers", depth, layer),
        leave=v4_streams(config, layout, 2, last=True),
        final_norm=norm("norm", Role.FINAL_NORM, width),
        depth=depth,
    )
    refused = not_computed(config, "DeepSeek-V4", COMPUTED)
    ropes = [v4_rope(config, compressed=compressed) for compressed in (False, True)]
    if any(rope.dim % 2 and rope.scaling.kind == "yarn" for rope in ropes):
        refused = "DeepSeek-V4 whose head_dim and partial_rotary_factor of rope_parameters turn an odd number by YaRN"
    return CausalLM(
        decoder=decoder,
        head=Output(name=layout.head).of(config, root, width),
        extras=v4_ahead(config, kinds),
        refused=refused,
    )
