"""Mamba (arXiv 2312.00752): a state space in every layer, and nothing else. Source: `MambaConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.components.mixers import MixerBlock
from weightscope.components.recurrent.mamba import Mamba
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, causal_lm, rms_norms, token_embedding
from weightscope.families.registry import family
from weightscope.families.siblings.state_space import BACKBONE, step_rank
from weightscope.roles import Role

MAMBA = DECODER | {
    "vocab_size": 50280, "hidden_size": 768, "state_size": 16, "num_hidden_layers": 32, "layer_norm_epsilon": 1e-5,
    "expand": 2, "intermediate_size": Nullable(int), "conv_kernel": 4, "use_bias": False, "use_conv_bias": True,
    "hidden_act": "silu", "time_step_rank": Nullable(object), "tie_word_embeddings": True,
}  # fmt: skip


@family("mamba", roots=BACKBONE, defaults=MAMBA, needs=("vocab_size", "hidden_size", "num_hidden_layers"))
def mamba(config: Config, root: str) -> CausalLM:
    """The inner width is `intermediate_size` where that is given, or `expand` times the model's."""
    width, inner, (prefix, _, embedding) = config["hidden_size"], config["intermediate_size"], root.partition(", ")
    norm = rms_norms(config["layer_norm_epsilon"])
    mixer = Mamba(
        name="mixer",
        width=width,
        inner=config["expand"] * width if inner is None else inner,
        state=config["state_size"],
        rank=step_rank(config, "time_step_rank"),
        kernel=config["conv_kernel"],
        activation=config["hidden_act"],
        bias=config["use_bias"],
        kernel_bias=config["use_conv_bias"],
    )
    block = MixerBlock(norm=norm("norm", Role.INPUT_NORM, width), mixer=mixer)
    return causal_lm(
        config,
        prefix,
        lambda _: block,
        embedding=token_embedding(config, embedding or "embeddings"),
        final_norm=norm("norm_f", Role.FINAL_NORM, width),
    )
