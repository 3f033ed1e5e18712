"""The mixtures of ERNIE 4.5 VL, in one list as published, or apart as transformers 5 holds them."""

from __future__ import annotations

from weightscope.components.feed_forward.image_experts import ImageExperts, TextAndImageExperts
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.numbers import number, sizes
from weightscope.families.common.parts import gated_mlp
from weightscope.sizes import Size
from weightscope.storage.linear import Conv1D, SecondConv1D

INNER = "moe_intermediate_size"
CORRECTION = "moe_statics.e_score_correction_bias"
# The inner sizes of experts for texts and for images where the config says none.
INNERS = (Size(1536, INNER), Size(512, INNER))


def published(config: Config) -> TextAndImageExperts:
    """Experts for images come after those for texts; both routers lie in one module, their corrections in one table."""
    of_text, of_image = _inners(config)
    width, experts, chosen, routing = (
        config["hidden_size"],
        config["moe_num_experts"],
        config["moe_k"],
        _routing(config),
    )
    return TextAndImageExperts(
        name="mlp",
        text=MixtureOfExperts(
            name="",
            width=width,
            experts=experts,
            chosen=chosen,
            expert=gated_mlp(config, "", inner=of_text),
            routing=routing,
            router_stored=Conv1D,
        ),
        image=ImageExperts(
            name="",
            width=width,
            experts=experts,
            chosen=chosen,
            expert=gated_mlp(config, "", inner=of_image),
            routing=routing,
            router_stored=SecondConv1D,
            first=int(experts),
        ),
        shared=_shared(config, of_text),
        corrections=CORRECTION,
    )


def held(config: Config) -> TextAndImageExperts:
    """A module for each."""
    of_text, of_image = _inners(config)
    width, experts, chosen, routing = (
        config["hidden_size"],
        config["moe_num_experts"],
        config["moe_k"],
        _routing(config),
    )
    return TextAndImageExperts(
        name="mlp",
        text=MixtureOfExperts(
            name="text_moe",
            width=width,
            experts=experts,
            chosen=chosen,
            expert=gated_mlp(config, "", inner=of_text),
            routing=routing,
            correction=f"gate.{CORRECTION}",
            correction_kind="row",
            stacked=STACK,
        ),
        image=ImageExperts(
            name="vision_moe",
            width=width,
            experts=experts,
            chosen=chosen,
            expert=gated_mlp(config, "", inner=of_image),
            routing=routing,
            correction=f"gate.{CORRECTION}",
            correction_kind="row",
            stacked=STACK,
        ),
        shared=_shared(config, of_text),
    )


def _inners(config: Config) -> tuple[Size, Size]:
    """The widths of experts for texts and for images.

    Raises:
        ConfigError: the config lists other than two, or something else than whole numbers.
    """
    listed = INNERS if config[INNER] is None else sizes(config, INNER)
    if len(listed) < 2:
        raise config.error(f"{config.prefix}{INNER} is {config[INNER]!r:.60}, not two sizes: of texts and of images")
    return listed[0], listed[1]


def _routing(config: Config) -> Routing:
    return Routing(least=number(config, "moe_norm_min"), added=0.0)


def _shared(config: Config, inner: Size) -> GatedMLP | None:
    count = config["moe_num_shared_experts"]
    return gated_mlp(config, "shared_experts", inner=inner * count, bias=bool(config["use_bias"])) if count else None
