"""The language model of Aria (arXiv 2410.05993): Llama with a mixture in every layer. Source: `AriaTextConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import STACKED, WITHIN
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.llama4_experts import USUAL
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

ARIA = LLAMA | {"intermediate_size": 4096, "moe_num_experts": 8, "moe_topk": 2, "moe_num_shared_experts": 2}
PUBLISHED = Stack(
    items=(
        Stacked("fc1.weight", Role.GATE_PROJ, Role.UP_PROJ, transposed=True),
        Stacked("fc2.weight", Role.DOWN_PROJ, transposed=True),
    )
)
# What a root stands for where transformers 5 gives the stacks other names.
HELD = {STACKED: USUAL, WITHIN: USUAL}


@family("aria_text", roots=("model", "", STACKED), defaults=ARIA)
def aria_text(config: Config, root: str) -> CausalLM:
    """Routed experts have SiLU, whatever `hidden_act` says of the shared ones."""
    s, norm, bias = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    shared = config["intermediate_size"] * config["moe_num_shared_experts"]
    mixture = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["moe_num_experts"],
        chosen=config["moe_topk"],
        expert=gated_mlp(config, "", activation="silu"),
        shared=gated_mlp(config, "shared_experts", inner=shared, bias=config["mlp_bias"]),
        stacked=HELD.get(root, PUBLISHED),
        router="router",
    )
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture)
    prefix = root.partition(",")[0]
    return causal_lm(config, prefix, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
