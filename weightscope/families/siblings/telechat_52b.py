"""TeleChat-52B (arXiv 2401.03804): GPT-2's layout with a gate, rotation and muP's factors. Source: `TELECHATConfig`."""

from __future__ import annotations

from weightscope.components.attention import Rope
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward import GatedMLP
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, Output, causal_lm, layer_norms, rms_norms, token_embedding
from weightscope.families.common.parts import self_attention
from weightscope.families.common.refusals import not_computed, require
from weightscope.families.siblings.gpt import GPT2, GPT2_NAMES, causal_masks
from weightscope.roles import Role
from weightscope.storage.linear import Conv1D

TELECHAT_52B = GPT2 | {
    "activation_function": Nullable(str), "relative_encoding": Nullable(str), "rotary_use_xpos": False,
    "rotary_theta": 10000.0, "scale_attn_weights": True, "use_mup": False, "mup_scale_factor": 1.0, "input_mult": 1.0,
    "output_mult": 1.0, "use_RMSNorm": False, "add_bias_linear": True,
}  # fmt: skip
# With other settings the model has other tensors.
TENSORS = {"relative_encoding": "rotary", "activation_function": "silu", "rotary_use_xpos": False}


def telechat_52b(config: Config, root: str) -> CausalLM:
    """`telechat` calls it: the type is the same, the config's keys are not. Scores by layer cancel out."""
    config = config.with_defaults(TELECHAT_52B, GPT2_NAMES)
    require(config, "TeleChat", TENSORS)
    s, bias, inner, mup = Dims.of(config, even=True), config["add_bias_linear"], config["n_inner"], config["use_mup"]
    norm = (rms_norms if config["use_RMSNorm"] else layer_norms)(config["layer_norm_epsilon"])
    block = Block(
        input_norm=norm("ln_1", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            (
                Conv1D("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias),
                Conv1D("c_proj", Role.O_PROJ, bias=bias),
                *causal_masks(config["n_positions"]),
            ),
            name="attn",
            positions=Rope(dim=int(s.head_dim), theta=float(config["rotary_theta"])),
        ),
        feed_forward_norm=norm("ln_2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=GatedMLP(
            name="mlp",
            items=(
                Conv1D("c_fc", Role.GATE_PROJ, Role.UP_PROJ, bias=bias),
                Conv1D("c_proj", Role.DOWN_PROJ, bias=bias),
            ),
            width=s.width,
            inner=s.width * 4 if inner is None else inner,
            activation="silu",
        ),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "wte", scale=float(config["input_mult"]) if mup else 1.0),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, s.width),
        output=Output(scale=config["output_mult"] / config["mup_scale_factor"] if mup else 1.0),
        refused=not_computed(config, "TeleChat", {"scale_attn_weights": True}),
    )
