"""DBRX (Databricks 2024): experts stacked into one tensor a role. Sources: `DbrxConfig`, Databricks' own code."""

from typing import Any

from weightscope.components.attention import Attention, Heads
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, causal_lm, layer_norms, rotary, token_embedding, visible
from weightscope.families.common.defaults import ROPE
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.stacked import Stacked

DBRX = DECODER | {
    "d_model": 2048, "n_heads": 16, "n_layers": 24, "vocab_size": 32000, "attn_config": Nullable(dict),
    "ffn_config": Nullable(dict), "rope_parameters": Nullable(dict), "rope_scaling": Nullable(dict),
}  # fmt: skip
ATTENTION = ROPE | {"clip_qkv": Nullable(float), "kv_n_heads": 1}
FFN: dict[str, Any] = {
    "ffn_act_fn": Nullable(object), "ffn_hidden_size": 3584, "moe_num_experts": 4, "moe_top_k": 1,
    "moe_normalize_expert_weights": Nullable(float, 1.0),
}  # fmt: skip
ATTRIBUTES = {"hidden_size": "d_model", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}
PROJECTIONS = (Linear("Wqkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), Linear("out_proj", Role.O_PROJ))
STACKED = (
    Stacked("w1", Role.GATE_PROJ, flat=True), Stacked("v1", Role.UP_PROJ, flat=True),
    Stacked("w2", Role.DOWN_PROJ, flat=True, transposed=True),
)  # fmt: skip
# MLX's converter takes experts apart, and turns their last matrix.
BY_MLX = "transformer, experts apart by MLX"
APART = (Linear("w1", Role.GATE_PROJ), Linear("v1", Role.UP_PROJ), Linear("w2", Role.DOWN_PROJ))


@family("dbrx", roots=("transformer", "", BY_MLX), defaults=DBRX, attribute_map=ATTRIBUTES)
def dbrx(config: Config, root: str) -> CausalLM:
    """The rotation's theta is `attn_config`'s, as in DBRX's own code; transformers 5 looks for it elsewhere."""
    width, count, norm = config["d_model"], config["n_heads"], layer_norms(1e-5, bias=False)
    inner, size = config.nested("attn_config").with_defaults(ATTENTION), width // count
    if size * count != width:
        raise config.error(f"d_model {width:,} is not a multiple of {count.text} {count:,}")
    block = Block(
        input_norm=norm("norm_attn_norm.norm_1", Role.INPUT_NORM, width),
        attention=Attention(
            name="norm_attn_norm.attn",
            projections=PROJECTIONS,
            width=width,
            heads=Heads(count=count, keys=inner["kv_n_heads"], size=size),
            positions=rotary(inner, size),
            sees=visible(config),
            clip=inner["clip_qkv"],
        ),
        feed_forward_norm=norm("norm_attn_norm.norm_2", Role.POST_ATTENTION_NORM, width),
        feed_forward=mixture(width, config.nested("ffn_config").with_defaults(FFN), apart=root == BY_MLX),
    )
    table, last = token_embedding(config, "wte"), norm("norm_f", Role.FINAL_NORM, width)
    refused = "" if rotary(config, size).scaling.kind == "default" else "DBRX with a rope_scaling"
    root = root.partition(",")[0]
    return causal_lm(config, root, lambda _: block, embedding=table, layers="blocks", final_norm=last, refused=refused)


def mixture(width: Size, config: Config, *, apart: bool) -> MixtureOfExperts:
    """Weights divided by their norm of the power that the config says, 1 unless told otherwise."""
    power, named = config["moe_normalize_expert_weights"], config["ffn_act_fn"] or "silu"
    activation = named.get("name", "silu") if isinstance(named, dict) else named
    return MixtureOfExperts(
        name="ffn",
        width=width,
        experts=config["moe_num_experts"],
        chosen=config["moe_top_k"],
        expert=GatedMLP(name="", items=APART, width=width, inner=config["ffn_hidden_size"], activation=str(activation)),
        routing=Routing(normalize=power is not None, power=float(power or 1)),
        stacked=None if apart else Stack(name="experts.mlp", items=STACKED),
        router="router.layer",
    )
