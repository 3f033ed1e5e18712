"""Mamba-2 (arXiv 2405.21060): a state space in every layer. Source: `Mamba2Config` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.components.mixers import MixerBlock
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.mamba2 import Mamba2
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, causal_lm, rms_norms, token_embedding
from weightscope.families.registry import family
from weightscope.families.siblings.state_space import BACKBONE, head_size, step_limits
from weightscope.roles import Role

MAMBA2 = DECODER | {
    "num_heads": 128, "head_dim": 64, "vocab_size": 32768, "hidden_size": 4096, "state_size": 128,
    "num_hidden_layers": 64, "layer_norm_epsilon": 1e-5, "expand": 2, "conv_kernel": 4, "n_groups": 8,
    "use_bias": False, "use_conv_bias": True, "hidden_act": "silu", "time_step_limit": Nullable(list),
}  # fmt: skip


@family("mamba2", roots=BACKBONE, defaults=MAMBA2, needs=("vocab_size", "hidden_size", "num_hidden_layers"))
def mamba2(config: Config, root: str) -> CausalLM:
    """The norm's groups are those of the state."""
    width, heads, groups = config["hidden_size"], config["num_heads"], config["n_groups"]
    inner, eps, bias = config["expand"] * width, config["layer_norm_epsilon"], config["use_bias"]
    mixer = Mamba2(
        name="mixer",
        width=width,
        heads=heads,
        head_dim=head_size(config, "head_dim", inner, heads),
        groups=groups,
        state=config["state_size"],
        kernel=config["conv_kernel"],
        activation=config["hidden_act"],
        norm=GatedRMSNorm(name="norm", size=inner, eps=eps, groups=int(groups), gate_first=True),
        bias=bias,
        out_bias=bias,
        kernel_bias=config["use_conv_bias"],
        steps=step_limits(config),
    )
    norm, (prefix, _, embedding) = rms_norms(eps), root.partition(", ")
    block = MixerBlock(norm=norm("norm", Role.INPUT_NORM, width), mixer=mixer)
    return causal_lm(
        config,
        prefix,
        lambda _: block,
        embedding=token_embedding(config, embedding or "embeddings"),
        final_norm=norm("norm_f", Role.FINAL_NORM, width),
    )
