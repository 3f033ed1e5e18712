"""FlexOlmo (arXiv 2507.07024): OLMo 2 with a mixture of independently trained experts. Source: `FlexOlmoConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.olmo import post_norm_block
from weightscope.roles import Role

FLEX_OLMO = LLAMA | {
    "vocab_size": 100352, "max_position_embeddings": 4096, "rope_theta": 500000.0, "num_experts": 7,
    "num_experts_per_tok": 5, "norm_topk_prob": False,
}  # fmt: skip


@family("flex_olmo", roots=ROOTS, defaults=FLEX_OLMO, attribute_map={"num_local_experts": "num_experts"})
def flex_olmo(config: Config, root: str) -> CausalLM:
    """Norms after each half and none before."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"], wide=True), spelling(root)
    mixture = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, ""),
        routing=Routing(normalize=config["norm_topk_prob"]),
        stacked=stacked,
    )
    rope, sees = rotary(config, s.head_dim, steps="float32"), visible(config)
    block = post_norm_block(config, s, positions=rope, sees=sees, feed_forward=mixture)
    return causal_lm(config, prefix, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
