"""Mamba (arXiv 2312.00752), Falcon Mamba (arXiv 2410.05355): a state space in every layer, and nothing else.

Sources: `MambaConfig`, `FalconMambaConfig` of transformers.
"""

from weightscope.components.decoder import CausalLM
from weightscope.components.mixers import MixerBlock
from weightscope.components.norm import RMSNorm
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
FALCON_MAMBA = MAMBA | {"mixer_rms_eps": 1e-6}
NEEDS = ("vocab_size", "hidden_size", "num_hidden_layers")


@family("mamba", roots=BACKBONE, defaults=MAMBA, needs=NEEDS)
def mamba(config: Config, root: str) -> CausalLM:
    """Nothing is normed within a mixer."""
    return mamba_model(config, root)


@family("falcon_mamba", roots=("backbone", ""), defaults=FALCON_MAMBA, needs=NEEDS)
def falcon_mamba(config: Config, root: str) -> CausalLM:
    """What the steps come from, what is written and what is read are normed, without weights."""
    norm, state = rms_norms(config["mixer_rms_eps"], weighted=False), config["state_size"]
    norms = (
        norm("dt_layernorm", Role.DT_NORM, step_rank(config, "time_step_rank")),
        norm("b_layernorm", Role.B_NORM, state),
        norm("c_layernorm", Role.C_NORM, state),
    )
    return mamba_model(config, root, norms)


def mamba_model(config: Config, root: str, norms: tuple[RMSNorm, ...] = ()) -> CausalLM:
    """The inner width is `intermediate_size` where that is given, or `expand` times the model's.

    A root may name the embedding as well.
    """
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
        norms=norms,
    )
    block = MixerBlock(norm=norm("norm", Role.INPUT_NORM, width), mixer=mixer)
    return causal_lm(
        config,
        prefix,
        lambda _: block,
        embedding=token_embedding(config, embedding or "embeddings"),
        final_norm=norm("norm_f", Role.FINAL_NORM, width),
    )
