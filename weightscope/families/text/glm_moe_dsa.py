"""GLM-5: DeepSeek-V3.2, some layers following the choice of an indexer before them. Source: `GlmMoeDsaConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import causal_lm, depth_of, rms_norms, rotary
from weightscope.families.common.ahead import numbered_ahead
from weightscope.families.common.mixtures import LATENT_ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import DEEPSEEK_V32, deepseek_mixture, first_dense, latent_attention
from weightscope.roles import Role

GLM_MOE_DSA = DEEPSEEK_V32 | {
    "vocab_size": 154880, "hidden_size": 6144, "intermediate_size": 12288, "num_hidden_layers": 78,
    "num_attention_heads": 64, "n_group": Nullable(int, 1), "topk_group": Nullable(int, 1),
    "q_lora_rank": Nullable(int, 2048), "qk_nope_head_dim": 192, "v_head_dim": 256, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 202752, "index_n_heads": 32, "indexer_types": Nullable(list),
    "index_topk_pattern": Nullable(object), "index_topk_freq": 1, "index_skip_topk_offset": 2,
}  # fmt: skip
ATTRIBUTES = {"num_local_experts": "n_routed_experts", "num_experts": "n_routed_experts"}
# Whether a layer has an indexer of its own.
KINDS = {"full": True, "shared": False, "F": True, "S": False}


@family("glm_moe_dsa", roots=LATENT_ROOTS, defaults=GLM_MOE_DSA, attribute_map=ATTRIBUTES)
def glm_moe_dsa(config: Config, root: str) -> CausalLM:
    """Layers that follow see what the last indexer before them chose; what predicts ahead has no copies."""
    (prefix, stacked), width, norm = spelling(root), config["hidden_size"], rms_norms(config["rms_norm_eps"])
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=True)
    chooses = latent_attention(config, rope, index_rope=rope, root=root)
    follows = latent_attention(config, rope, follows=True, root=root)
    mixed = deepseek_mixture(config, stacked=stacked)
    dense, mixes, chosen = gated_mlp(config, "mlp"), first_dense(config), indexed(config)

    def layer(i: int) -> Block:
        attention, feed_forward = chooses if chosen[i] else follows, mixed if mixes[i] else dense
        return pre_norm_block(norm, width, attention=attention, feed_forward=feed_forward)

    ahead = pre_norm_block(norm, width, attention=chooses, feed_forward=mixed)
    extras = numbered_ahead(config, prefix, ahead, copies=False)
    refused = not_computed(config, "GLM-5", {"is_causal": (True, None)})
    return causal_lm(
        config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, width), extras=extras, refused=refused
    )


def indexed(config: Config) -> list[bool]:
    """Which layers have an indexer: by their list, a pattern of letters, or every so many after the first."""
    depth, kinds = depth_of(config), config["indexer_types"] or config["index_topk_pattern"]
    if kinds is None:
        every, offset = max(int(config["index_topk_freq"]), 1), int(config["index_skip_topk_offset"])
        return [max(i - offset + 1, 0) % every == 0 for i in range(depth)]
    if not isinstance(kinds, list | str) or len(kinds) < depth or not set(kinds) <= KINDS.keys():
        raise config.error(f"indexer_types does not say full or shared for {depth:,} layers")
    if not KINDS[kinds[0]]:
        raise config.undeclared("the first layer shares the choice of an earlier indexer, but there is none")
    return [KINDS[kind] for kind in kinds]
