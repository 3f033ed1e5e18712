"""GPT-2 (Radford et al. 2019). Source: `GPT2Config` and OpenAI's checkpoints, whose names have no root."""

from __future__ import annotations

from weightscope.components.attention import Attention, Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, Output, causal_lm, layer_norms, token_embedding, visible
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import DECODER_NEEDS, family
from weightscope.families.siblings.gpt import GPT2, GPT2_NAMES, causal_masks, learned_positions, two_matrices
from weightscope.roles import Role
from weightscope.storage.linear import Conv1D

OWN = GPT2 | {
    "add_cross_attention": False,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
}


@family(
    "gpt2",
    roots=("transformer", ""),
    defaults=OWN,
    attribute_map=GPT2_NAMES,
    needs=(*DECODER_NEEDS, "n_positions"),
)
def gpt2(config: Config, root: str) -> CausalLM:
    """Conv1D matrices are stored (in, out); old checkpoints carry the causal mask as a buffer `bias`."""
    refuse(config, "GPT-2", ("add_cross_attention",))
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_epsilon"])
    activation, positions = config["activation_function"], config["n_positions"]
    scale = s.head_dim**-0.5 if config["scale_attn_weights"] else 1.0
    falls = config["scale_attn_by_inverse_layer_idx"]

    def layer(i: int) -> Block:
        return Block(
            input_norm=norm("ln_1", Role.INPUT_NORM, s.width),
            attention=Attention(
                name="attn",
                projections=(
                    Conv1D("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
                    Conv1D("c_proj", Role.O_PROJ, bias=True),
                    *causal_masks(positions),
                ),
                width=s.width,
                heads=s.heads,
                sees=visible(config),
                scores=Scores(scale=scale / (i + 1) if falls else scale),
            ),
            feed_forward_norm=norm("ln_2", Role.POST_ATTENTION_NORM, s.width),
            feed_forward=two_matrices(s.width, config["n_inner"], activation, stored=Conv1D),
        )

    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, "wte"),
        positions=learned_positions("wpe", positions, s.width),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, s.width),
        output=Output(classifier="classifier"),
    )
