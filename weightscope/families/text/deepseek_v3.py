"""DeepSeek-V3 (arXiv 2412.19437) and Kimi K2: latent attention, dense layers below mixed ones, prediction ahead.

Sources: `DeepseekV3Config` of transformers; the names of the multi-token prediction layer from DeepSeek's checkpoints.
"""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import causal_lm, rms_norms, rotary
from weightscope.families.common.ahead import numbered_ahead
from weightscope.families.common.mixtures import LATENT_ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import DEEPSEEK, deepseek_mixture, first_dense, latent_attention
from weightscope.roles import Role

ATTRIBUTES = {"num_local_experts": "n_routed_experts", "num_nextn_predict_layers": "num_mtp_layers"}
DEEPSEEK_V3 = DEEPSEEK | {"num_mtp_layers": Nullable(int, 1)}
KIMI_K2 = DEEPSEEK | {"num_mtp_layers": Nullable(int, 0)}


@family("deepseek_v3", roots=LATENT_ROOTS, defaults=DEEPSEEK_V3, attribute_map=ATTRIBUTES)
@family("kimi_k2", roots=LATENT_ROOTS, defaults=KIMI_K2, attribute_map=ATTRIBUTES)
def deepseek_v3(config: Config, root: str) -> CausalLM:
    """Layers beyond `num_hidden_layers` predict further tokens ahead; Kimi K2 publishes none."""
    (prefix, stacked), width, norm = spelling(root), config["hidden_size"], rms_norms(config["rms_norm_eps"])
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=config["rope_interleave"])
    attention = latent_attention(config, rope, root=root)
    mixed = deepseek_mixture(config, stacked=stacked)
    dense, mixes = gated_mlp(config, "mlp"), first_dense(config)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    ahead = pre_norm_block(norm, width, attention=attention, feed_forward=mixed)
    final_norm = norm("norm", Role.FINAL_NORM, width)
    return causal_lm(config, prefix, layer, final_norm=final_norm, extras=numbered_ahead(config, prefix, ahead))
