"""What Idefics adds to Llama (arXiv 2204.14198): gated layers that attend to images, a perceiver, tokens apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from weightscope.components.base import Component, Group, Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.vision.gated_look import GatedLook, Look
from weightscope.components.vision.latents import Latents
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms, rms_norms
from weightscope.families.common.dims import depth_of
from weightscope.families.common.parts import four_projections, gated_mlp, linears, mlp
from weightscope.families.siblings.clip import CLIP_VISION
from weightscope.roles import Role, Section
from weightscope.sizes import Size

VISION: dict[str, Any] = {key: value for key, value in CLIP_VISION.items() if key != "hidden_size"} | {
    "embed_dim": 768, "intermediate_size": 5120, "patch_size": 14, "num_hidden_layers": 32, "num_attention_heads": 16,
    "hidden_act": "gelu",
}  # fmt: skip
VISION_NAMES = {"hidden_size": "embed_dim"}
PERCEIVER: dict[str, Any] = {
    "resampler_n_latents": 64, "resampler_depth": 6, "resampler_n_heads": 16, "resampler_head_dim": 96,
    "qk_layer_norms_perceiver": False,
}  # fmt: skip


def gated_layers(config: Config, s: Dims, features: Size) -> Repeat:
    """One before each `cross_layer_interval` layers of text.

    Raises:
        ConfigError: the gates are neither numbers nor vectors.
    """
    norm, kind = rms_norms(config["rms_norm_eps"]), config["alpha_type"]
    gates = {"float": (Size(1),), "vector": (Size(1), Size(1), s.width)}
    if kind not in gates:
        raise config.error(f"alpha_type is {kind!r:.60}, neither float nor vector")
    names = ("q_layer_norm", "k_layer_norm") if config["qk_layer_norms"] else ()
    layer = GatedLook(
        norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        look=Look(
            name="cross_attn",
            projections=four_projections(),
            width=s.width,
            features=features,
            inner=s.queries,
            norms=tuple(norm(n, role, s.head_dim) for n, role in zip(names, (Role.Q_NORM, Role.K_NORM), strict=False)),
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "mlp"),
        gate=gates[kind],
    )
    return Repeat(
        name="gated_cross_attn_layers", indices=range(s.depth // config["cross_layer_interval"]), child=layer, of="part"
    )


def perceiver(config: Config, width: Size) -> Latents:
    """Latents as wide as the tower, through blocks of attention and a feed-forward layer four times as wide."""
    norm, heads, size = layer_norms(1e-5), config["resampler_n_heads"], config["resampler_head_dim"]
    names = {"q_layer_norm": Role.Q_NORM, "k_layer_norm": Role.K_NORM} if config["qk_layer_norms_perceiver"] else {}
    roles = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "output_proj": Role.O_PROJ}
    attention = Look(
        name="0",
        projections=linears(roles),
        width=width,
        features=width,
        inner=heads * size,
        norms=(
            norm("context_layer_norm", Role.INPUT_NORM, width),
            norm("latents_layer_norm", Role.INPUT_NORM, width),
            *(norm(name, role, size) for name, role in names.items()),
        ),
    )
    feed_forward = Group(
        name="1",
        parts=(
            norm("ln", Role.POST_ATTENTION_NORM, width),
            mlp(width, width * 4, "relu", name="", names=("fc", "c_proj")),
        ),
    )
    block = Group(name="", parts=(attention, feed_forward))
    return Latents(
        name="perceiver_resampler",
        count=config["resampler_n_latents"],
        width=width,
        layers=Repeat(name="blocks", indices=range(depth_of(config, "resampler_depth")), child=block, of="part"),
        norm=norm("layer_norm", Role.FINAL_NORM, width),
        section=Section.PROJECTOR,
    )


def more_rows(config: Config, width: Size) -> Iterable[Component]:
    """The embeddings of tokens that were added to the language model's."""
    count = config["additional_vocab_size"]
    return (Embedding(name="embed_tokens.additional_embedding", rows=count, width=width),) if count else ()
