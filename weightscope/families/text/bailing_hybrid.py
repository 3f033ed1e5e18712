"""Ling 3.0 (inclusionAI 2026): Kimi's delta attention and latent attention. Source: `BailingHybridConfig`."""

from msgspec.structs import replace

from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.prediction.next_tokens import NextTokens
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Output, causal_lm, rms_norms, rotary, token_embedding
from weightscope.families.common.layer_types import FULL, LINEAR, MIXERS, layer_types
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import first_dense, latent_attention, turns_in_part
from weightscope.families.siblings.ling import LAYOUTS, ling_delta, ling_mixture
from weightscope.roles import Role
from weightscope.storage.base import join

LING = ROTARY | {
    "vocab_size": 157184, "hidden_size": 2560, "intermediate_size": 6144, "moe_intermediate_size": 768,
    "num_hidden_layers": 42, "num_attention_heads": 32, "num_local_experts": 512, "num_experts_per_tok": 8,
    "n_shared_experts": 1, "n_group": 8, "topk_group": 4, "routed_scaling_factor": 2.5, "norm_topk_prob": True,
    "first_k_dense_replace": 2, "hidden_act": "silu", "max_position_embeddings": 262144,
    "rms_norm_eps": 1e-6, "attention_bias": False, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "rope_theta": 6000000.0, "head_dim": 128,
    "linear_head_dim": Nullable(int), "linear_num_heads": Nullable(int), "linear_conv_kernel_dim": Nullable(int),
    "short_conv_kernel_size": 4, "layer_group_size": 6, "kda_safe_gate": True, "kda_lower_bound": -5.0,
    "layer_types": Nullable(list), "mlp_layer_types": Nullable(list), "num_mtp_layers": 1,
}  # fmt: skip
# The names that the class saves its keys under; it takes them last, so they win.
ATTRIBUTES = {
    "model_max_length": "max_position_embeddings", "moe_renormalize": "norm_topk_prob", "num_expert_group": "n_group",
    "num_experts": "num_local_experts", "num_experts_per_token": "num_experts_per_tok",
    "num_shared_experts": "n_shared_experts", "num_nextn_predict_layers": "num_mtp_layers",
}  # fmt: skip


@family("bailing_hybrid", roots=tuple(LAYOUTS), defaults=LING, attribute_map=ATTRIBUTES)
def bailing_hybrid(config: Config, root: str) -> CausalLM:
    """The last of each group of layers has latent attention, with a gate of each head."""
    layout, width, norm = LAYOUTS[root], config["hidden_size"], rms_norms(config["rms_norm_eps"])
    group, mixes = max(int(config["layer_group_size"]), 1), first_dense(config)
    kinds = layer_types(config, lambda i: LINEAR if (i + 1) % group else FULL, known=MIXERS)
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=True)
    latent = replace(latent_attention(config, rope), name=layout.attention, gate="g_proj", out=layout.out)
    delta, mixed, dense = ling_delta(config, layout), ling_mixture(config, layout), gated_mlp(config, "mlp")

    def layer(i: int) -> Block:
        attention = latent if kinds[i] == FULL else delta
        return pre_norm_block(norm, width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    parts = (
        norm("enorm", Role.EMBEDDING_NORM, width),
        norm("hnorm", Role.NORM, width),
        pre_norm_block(norm, width, attention=latent, feed_forward=mixed),
        norm("final_layernorm", Role.FINAL_NORM, width),
    )
    numbers = range(len(kinds), len(kinds) + int(config["num_mtp_layers"]))
    ahead = NextTokens(joined="eh_proj", width=width, parts=parts)
    return causal_lm(
        config,
        layout.prefix,
        layer,
        embedding=token_embedding(config, layout.embedding),
        final_norm=norm("norm", Role.FINAL_NORM, width),
        # The class ties nothing, whatever the config says.
        output=Output(tied=False),
        refused=turns_in_part(config, rope, "Ling 3.0"),
        extras=(Repeat(name=join(layout.prefix, "layers"), indices=numbers, child=ahead),),
    )
