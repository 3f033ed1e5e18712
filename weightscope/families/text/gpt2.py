"""GPT-2 (Radford et al. 2019). Source: `GPT2Config` and OpenAI's checkpoints, whose names have no root."""

from weightscope.components.attention import Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, visible
from weightscope.families.common.parts import self_attention
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import DECODER_NEEDS, family
from weightscope.families.siblings.gpt import GPT2, GPT2_NAMES, causal_masks, gpt2_block, gpt2_lm
from weightscope.roles import Role
from weightscope.storage.linear import Conv1D, Linear

OWN = GPT2 | {"add_cross_attention": False, "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}
# MLX's converter moves all but the head below it, and turns the matrices.
BY_MLX = "model, turned by MLX"
NEEDS = (*DECODER_NEEDS, "n_positions")


@family("gpt2", roots=("transformer", "", BY_MLX, "model"), defaults=OWN, attribute_map=GPT2_NAMES, needs=NEEDS)
def gpt2(config: Config, root: str) -> CausalLM:
    """Conv1D matrices are stored (in, out); old checkpoints carry the causal mask as a buffer `bias`."""
    stored = Linear if root == BY_MLX else Conv1D
    refuse(config, "GPT-2", ("add_cross_attention",))
    s, falls = Dims.of(config, even=True), config["scale_attn_by_inverse_layer_idx"]
    scale = s.head_dim**-0.5 if config["scale_attn_weights"] else 1.0

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            (
                stored("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
                stored("c_proj", Role.O_PROJ, bias=True),
                *causal_masks(config["n_positions"]),
            ),
            name="attn",
            sees=visible(config),
            scores=Scores(scale=scale / (i + 1) if falls else scale),
        )
        return gpt2_block(config, attention, config["n_inner"], stored=stored)

    return gpt2_lm(config, root.partition(",")[0], layer)
