"""Parts of Qwen3-Next and Qwen 3.5: gated delta nets, attention with a gate on its output, what predicts ahead.

MLX's converter adds the 1 of these models' norms, w · (1 + x), to what it stores; it turns the kernels of convolutions
and leaves out what predicts ahead. Other norms of the models have no such 1.
"""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.attention import Attention
from weightscope.components.decoder import Block
from weightscope.components.norm import RMSNorm
from weightscope.components.prediction.next_tokens import NextTokens
from weightscope.components.recurrent.gated_delta import GatedDeltaNet
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, rms_norms, rotary, visible
from weightscope.families.common.ahead import joint_ahead
from weightscope.families.common.layer_types import FULL, LINEAR, MIXERS, layer_types
from weightscope.families.common.parts import four_projections, head_norms, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

# Qwen3-Next and Qwen 3.5: delta nets, and among them attention.
DELTA = ROTARY | {
    "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "partial_rotary_factor": 0.25,
    "attention_bias": False, "attn_output_gate": True, "head_dim": 256, "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
    "layer_types": Nullable(list), "full_attention_interval": Nullable(int, 4),
    "mtp_num_hidden_layers": Nullable(int, 0),
}  # fmt: skip
QWEN3_NEXT = DELTA | {
    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 2, "decoder_sparse_step": 1, "mlp_only_layers": Nullable(list),
    "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "num_experts_per_tok": 10, "num_experts": 512,
    "norm_topk_prob": True,
    # published with one, which the config leaves out
    "mtp_num_hidden_layers": Nullable(int, 1),
}  # fmt: skip

# Qwen 3.5's language model as MLX has it: in a model that sees, and alone.
BY_MLX, ALONE = "model, by MLX", "language_model, by MLX"
# Qwen 3.5's projections: Qwen3-Next's taken apart.
APART = (
    Linear("in_proj_qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ),
    Linear("in_proj_z", Role.Z_PROJ),
    Linear("in_proj_b", Role.B_PROJ),
    Linear("in_proj_a", Role.A_PROJ),
)


def delta_kinds(config: Config) -> list[str]:
    """Which layers attend: `layer_types` says so, or the last of each `full_attention_interval`."""
    interval = config["full_attention_interval"] or 4
    return layer_types(config, lambda i: LINEAR if (i + 1) % interval else FULL, known=MIXERS)


def delta_norms(config: Config, *, by_mlx: bool = False) -> Callable[[str, Role, Size], RMSNorm]:
    """Norms that multiply by 1 + w, or by w where MLX stored that sum."""
    return rms_norms(config["rms_norm_eps"], offset=0.0 if by_mlx else 1.0)


def gated_attention(config: Config, s: Dims, *, by_mlx: bool = False) -> Attention:
    """Rows of `q_proj` are, head by head, its query and its gate."""
    bias, norm = config["attention_bias"], delta_norms(config, by_mlx=by_mlx)
    _, k, v, o = four_projections(qkv_bias=bias, o_bias=bias)
    return self_attention(
        s,
        (Linear("q_proj", Role.Q_PROJ, Role.ATTENTION_GATE, bias=bias, groups=s.heads.count), k, v, o),
        norms=head_norms(norm, s.head_dim),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )


def delta_net(config: Config, projections: tuple[Linear, ...] = APART, *, by_mlx: bool = False) -> GatedDeltaNet:
    """`projections` are those that enter it."""
    return GatedDeltaNet(
        name="linear_attn",
        items=(
            *projections,
            Kernel("conv1d", Role.CONVOLUTION, last=by_mlx),
            Plain("", Role.DT_BIAS, leaf="dt_bias"),
            Plain("", Role.A_LOG, leaf="A_log"),
            Linear("out_proj", Role.OUT_PROJ),
        ),
        width=config["hidden_size"],
        key_heads=config["linear_num_key_heads"],
        value_heads=config["linear_num_value_heads"],
        key_dim=config["linear_key_head_dim"],
        value_dim=config["linear_value_head_dim"],
        kernel=config["linear_conv_kernel_dim"],
        activation=config["hidden_act"],
        norm=GatedRMSNorm(name="norm", size=config["linear_value_head_dim"], eps=config["rms_norm_eps"]),
    )


def qwen_ahead(config: Config, block: Block) -> tuple[NextTokens, ...]:
    """`mtp_num_hidden_layers` blocks that predict tokens further ahead, if there are any."""
    return joint_ahead(delta_norms(config), config["hidden_size"], block, config["mtp_num_hidden_layers"] or 0)
