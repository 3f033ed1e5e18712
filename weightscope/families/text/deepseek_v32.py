"""DeepSeek-V3.2: DeepSeek-V3 with an indexer that chooses the positions a token sees. Source: `DeepseekV32Config`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import causal_lm, rms_norms, rotary
from weightscope.families.common.ahead import numbered_ahead
from weightscope.families.common.mixtures import LATENT_ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import DEEPSEEK_V32, deepseek_mixture, first_dense, latent_attention
from weightscope.roles import Role

ATTRIBUTES = {"num_local_experts": "n_routed_experts", "num_experts": "n_routed_experts"}


@family("deepseek_v32", roots=LATENT_ROOTS, defaults=DEEPSEEK_V32, attribute_map=ATTRIBUTES)
def deepseek_v32(config: Config, root: str) -> CausalLM:
    """Every layer has its indexer, whose rotation pairs halves though attention's pairs neighbours."""
    (prefix, stacked), width, norm = spelling(root), config["hidden_size"], rms_norms(config["rms_norm_eps"])
    neighbours = rotary(config, config["qk_rope_head_dim"], interleaved=True)
    halves = rotary(config, config["qk_rope_head_dim"])
    attention = latent_attention(config, neighbours, index_rope=halves, root=root)
    mixed = deepseek_mixture(config, stacked=stacked)
    dense, mixes = gated_mlp(config, "mlp"), first_dense(config)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    ahead = pre_norm_block(norm, width, attention=attention, feed_forward=mixed)
    final_norm = norm("norm", Role.FINAL_NORM, width)
    refused = not_computed(config, "DeepSeek-V3.2", {"is_causal": (True, None)})
    extras = numbered_ahead(config, prefix, ahead)
    return causal_lm(config, prefix, layer, final_norm=final_norm, extras=extras, refused=refused)
