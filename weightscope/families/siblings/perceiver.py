"""The perceiver of Idefics 2 (arXiv 2405.02246), by its own part of the config."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Heads
from weightscope.components.base import Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.vision.resampler import LatentsAttention, Resampler, ResamplerLayer
from weightscope.config import Config
from weightscope.families.common import rms_norms
from weightscope.families.common.dims import depth_of
from weightscope.families.common.multimodal import part
from weightscope.families.common.parts import four_projections, linears
from weightscope.roles import Role

PERCEIVER: dict[str, Any] = {
    "hidden_act": "silu", "hidden_size": 4096, "rms_norm_eps": 1e-6, "resampler_n_latents": 64, "resampler_depth": 3,
    "resampler_n_heads": 16, "resampler_head_dim": 96, "num_key_value_heads": 4,
}  # fmt: skip
GATED = {"gate_proj": Role.GATE_PROJ, "up_proj": Role.UP_PROJ, "down_proj": Role.DOWN_PROJ}


def resampler(config: Config, model: CausalLM) -> Resampler:
    """Of another width than the language model's, the class takes the language model's width and eps."""
    perceiver = part(config, "perceiver_config", PERCEIVER)
    width, eps = perceiver["hidden_size"], perceiver["rms_norm_eps"]
    if width != model.decoder.embedding.width and model.decoder.final_norm:
        width, eps = model.decoder.embedding.width, model.decoder.final_norm.eps
    norm = rms_norms(eps)
    heads = Heads(
        count=perceiver["resampler_n_heads"],
        keys=perceiver["num_key_value_heads"],
        size=perceiver["resampler_head_dim"],
    )
    layer = ResamplerLayer(
        latents_norm=norm("input_latents_norm", Role.INPUT_NORM, width),
        features_norm=norm("input_context_norm", Role.INPUT_NORM, width),
        attention=LatentsAttention(name="self_attn", projections=four_projections(), width=width, heads=heads),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward=GatedMLP(
            name="mlp", items=linears(GATED), width=width, inner=width * 4, activation=perceiver["hidden_act"]
        ),
    )
    return Resampler(
        name="perceiver_resampler",
        count=perceiver["resampler_n_latents"],
        width=width,
        layers=Repeat(name="layers", indices=range(depth_of(perceiver, "resampler_depth")), child=layer),
        norm=norm("norm", Role.FINAL_NORM, width),
    )
