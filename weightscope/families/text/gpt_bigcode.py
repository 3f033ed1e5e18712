"""SantaCoder and StarCoder (arXiv 2305.06161): GPT-2 with one key for all queries. Source: `GPTBigCodeConfig`."""

from weightscope.components.attention import Attention, Heads, Scores
from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, visible
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import DECODER_NEEDS, family
from weightscope.families.siblings.gpt import GPT2, GPT2_NAMES, gpt2_block, gpt2_lm
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

GPT_BIGCODE = GPT2 | {
    "activation_function": "gelu_pytorch_tanh", "add_cross_attention": False, "scale_attn_weights": True,
    "multi_query": True,
}  # fmt: skip
NEEDS = (*DECODER_NEEDS, "n_positions")


@family("gpt_bigcode", roots=("transformer", ""), defaults=GPT_BIGCODE, attribute_map=GPT2_NAMES, needs=NEEDS)
def gpt_bigcode(config: Config, root: str) -> CausalLM:
    """Rows of `c_attn` are all queries, the key, the value; without `multi_query` head by head its three."""
    refuse(config, "GPTBigCode", ("add_cross_attention",))
    s = Dims.of(config, even=True)
    keys = Size(1) if config["multi_query"] else s.heads.count
    attention = Attention(
        name="attn",
        projections=(
            Linear("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True, groups=keys),
            Linear("c_proj", Role.O_PROJ, bias=True),
        ),
        width=s.width,
        heads=Heads(count=s.heads.count, keys=keys, size=s.head_dim, even=True),
        sees=visible(config),
        scores=Scores(scale=None if config["scale_attn_weights"] else 1.0),
    )
    block = gpt2_block(config, attention, config["n_inner"])
    return gpt2_lm(config, root, lambda _: block)
