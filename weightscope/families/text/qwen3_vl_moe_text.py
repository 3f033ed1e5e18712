"""The language model of Qwen3-VL's mixtures. Source: `Qwen3VLMoeTextConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import Stack
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import STACK, SWITCH, SWITCHED
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_moe import every_so_often, routed_mixture
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

QWEN3_VL_MOE = ROTARY | {
    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24,
    "num_attention_heads": 16, "num_key_value_heads": Nullable(int, 16), "head_dim": Nullable(int),
    "hidden_act": "silu", "max_position_embeddings": 128000, "rms_norm_eps": 1e-6, "attention_bias": False,
    "rope_theta": 500000.0, "decoder_sparse_step": 1, "mlp_only_layers": Nullable(list), "moe_intermediate_size": 1408,
    "num_experts": 60, "num_experts_per_tok": 4, "tie_word_embeddings": True,
}  # fmt: skip
# Experts as published lie (in, out), as transformers 5 saves them (out, in), under the same names.
TURNED = Stack(
    items=(
        Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ, transposed=True),
        Stacked("down_proj", Role.DOWN_PROJ, transposed=True),
    )
)
ROOTS = (
    "model",
    "model, experts stacked",
    "",
    ", experts stacked",
    "model.language_model",
    "model.language_model, experts stacked",
    SWITCHED,
)


@family("qwen3_vl_moe_text", roots=ROOTS, defaults=QWEN3_VL_MOE, attribute_map={"num_local_experts": "num_experts"})
def qwen3_vl_moe_text(config: Config, root: str) -> CausalLM:
    """Weights of the chosen experts always add up to 1."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    prefix, mixes = root.partition(",")[0], every_so_often(config)
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        norms=head_norms(norm, s.head_dim),
        positions=rotary(config, s.head_dim, sections=(24, 20, 20), alternating=True),
        sees=visible(config),
    )
    stacked = SWITCH if root == SWITCHED else STACK if root.endswith("stacked") else TURNED
    mixed = routed_mixture(config, normalize=True, stacked=stacked)

    def layer(i: int) -> Block:
        feed_forward = mixed if mixes(i) else gated_mlp(config, "mlp")
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
