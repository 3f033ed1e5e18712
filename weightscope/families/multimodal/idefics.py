"""Idefics (Laurençon et al. 2023), after Flamingo (arXiv 2204.14198): layers that look at images among Llama's.

Source: `IdeficsConfig` of transformers. Names, shapes and counts only.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Embedding
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary
from weightscope.families.common.multimodal import part
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.clip import clip_encoder
from weightscope.families.siblings.flamingo import PERCEIVER, VISION, VISION_NAMES, gated_layers, more_rows, perceiver
from weightscope.roles import Role

IDEFICS: dict[str, Any] = {key: LLAMA[key] for key in (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act",
    "rms_norm_eps", "tie_word_embeddings", "max_position_embeddings", "rope_parameters", "rope_theta", "rope_scaling",
)} | {
    "additional_vocab_size": 0, "alpha_type": "float", "cross_layer_interval": 1, "qk_layer_norms": False,
    "use_resampler": False,
}  # fmt: skip


@family("idefics", roots=("model", ""), defaults=IDEFICS)
def idefics(config: Config, root: str) -> CausalLM:
    """Before each `cross_layer_interval` layers one attends to images, through a gate that is learned."""
    s, norm = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"])
    vision = part(config, "vision_config", {}).with_defaults(VISION, VISION_NAMES)
    width = vision["embed_dim"]
    attention = self_attention(s, four_projections(), positions=rotary(config, s.head_dim))
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    resampled = config["use_resampler"]
    bridge = (perceiver(part(config, "perceiver_config", PERCEIVER), width),) if resampled else ()
    tower = clip_encoder(vision, "vision_model")
    extras = Group(name=root, parts=(tower, *bridge, gated_layers(config, s, width), *more_rows(config, s.width)))
    apart = config["additional_vocab_size"] and not config.is_base_model
    head = Embedding(
        name="lm_head.additional_fc",
        role=Role.LM_HEAD,
        rows=config["additional_vocab_size"],
        width=s.width,
        optional=bool(config["tie_word_embeddings"]),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        extras=(extras, *((head,) if apart else ())),
        refused="Idefics, whose layers attend to images",
    )
