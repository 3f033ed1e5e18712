"""What Ling 3.0 is made of, and the ways in which it is spelled. Source: `BailingHybridConfig` of transformers."""

from __future__ import annotations

from typing import NamedTuple

from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.kimi_delta import KimiDelta
from weightscope.config import Config
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.parts import gated_mlp
from weightscope.families.siblings.deepseek import grouped_sigmoid
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.pieces import Pieces
from weightscope.storage.plain import Plain


class Layout(NamedTuple):
    """A spelling: prefix and embedding, attention and its last matrix, the forget gate's prefix, the correction.

    Experts and kernels are `joined` in memory.
    """

    prefix: str
    embedding: str = "word_embeddings"
    attention: str = "attention"
    out: str = "dense"
    forget: str = ""
    correction: str = "gate.expert_bias"
    joined: bool = False


LAYOUTS = {
    "model": Layout("model"),
    "": Layout(""),
    "model, as transformers 5 holds it": Layout(
        "model", "embed_tokens", "self_attn", "o_proj", "forget_gate.", "gate.e_score_correction_bias", joined=True
    ),
}


def ling_delta(config: Config, layout: Layout) -> KimiDelta:
    """Kimi's delta attention with a matrix for each gate, and fading that may have a bound."""
    size = _own(config, "linear_head_dim", "head_dim")
    names = {
        "q_proj": Role.Q_PROJ,
        "k_proj": Role.K_PROJ,
        "v_proj": Role.V_PROJ,
        f"{layout.forget}f_proj": Role.F_B_PROJ,
        "b_proj": Role.B_PROJ,
        "g_proj": Role.G_B_PROJ,
        layout.out: Role.O_PROJ,
    }
    kernels = Pieces(Role.CONVOLUTION, "q_conv1d", "k_conv1d", "v_conv1d")
    return KimiDelta(
        name=layout.attention,
        items=(
            *(Linear(name, role) for name, role in names.items()),
            Plain("conv1d", Role.CONVOLUTION) if layout.joined else kernels,
            Plain("", Role.DT_BIAS, leaf=f"{layout.forget}dt_bias"),
            Plain("", Role.A_LOG, leaf=f"{layout.forget}A_log"),
        ),
        width=config["hidden_size"],
        heads=_own(config, "linear_num_heads", "num_attention_heads"),
        head_dim=size,
        kernel=_own(config, "linear_conv_kernel_dim", "short_conv_kernel_size"),
        activation=config["hidden_act"],
        norm=GatedRMSNorm(name="o_norm", size=size, eps=config["rms_norm_eps"], activation="sigmoid"),
        direct=True,
        lowest=float(config["kda_lower_bound"]) if config["kda_safe_gate"] else None,
    )


def ling_mixture(config: Config, layout: Layout) -> MixtureOfExperts:
    """Routed as in DeepSeek-V3."""
    inner = config["moe_intermediate_size"]
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=inner),
        routing=grouped_sigmoid(config),
        shared=gated_mlp(config, "shared_experts", inner=inner * config["n_shared_experts"]),
        correction=layout.correction,
        stacked=STACK if layout.joined else None,
    )


def _own(config: Config, key: str, usual: str) -> Size:
    """What the class saves under a name of its delta attention's own, or the usual key where that is absent."""
    return config[usual] if config[key] is None else config[key]  # type: ignore[no-any-return]
