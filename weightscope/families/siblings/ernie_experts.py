"""The mixtures of ERNIE 4.5 VL: in one list as published, apart as transformers 5 holds them, or as MLX stacks them."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar

from msgspec.structs import replace

from weightscope.components.feed_forward.image_experts import ImageExperts, TextAndImageExperts
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config
from weightscope.families.common.mixtures import STACK, STACKED, SWITCH, SWITCHED, WITHIN
from weightscope.families.common.numbers import number, sizes
from weightscope.families.common.parts import gated_mlp
from weightscope.sizes import Size
from weightscope.storage.linear import Conv1D, Linear, SecondConv1D

M = TypeVar("M", bound=MixtureOfExperts)

INNER = "moe_intermediate_size"
CORRECTION = "e_score_correction_bias"
# The inner sizes of experts for texts and for images where the config says none.
INNERS = (Size(1536, INNER), Size(512, INNER))


class Place(NamedTuple):
    """Where one of the two mixtures lies: its module, its router, its correction, its experts if they are stacked."""

    name: str = ""
    router: str = "gate"
    router_stored: type[Linear] = Linear
    correction: str | None = None
    correction_kind: Literal["parameter", "row"] = "row"
    stacked: Stack | None = None


class Spelling(NamedTuple):
    """Both mixtures, and the table of corrections where they have none."""

    text: Place
    image: Place
    corrections: str | None = None


PUBLISHED = Spelling(
    text=Place(router_stored=Conv1D), image=Place(router_stored=SecondConv1D), corrections=f"moe_statics.{CORRECTION}"
)
APART = Place(correction=f"gate.moe_statics.{CORRECTION}", stacked=STACK)
HELD = Spelling(text=APART._replace(name="text_moe"), image=APART._replace(name="vision_moe"))
MLX = Spelling(
    text=Place(correction=CORRECTION, correction_kind="parameter", stacked=SWITCH),
    image=Place(
        router="gate_1",
        correction=f"{CORRECTION}_1",
        correction_kind="parameter",
        stacked=replace(SWITCH, name="switch_mlp_1"),
    ),
)
# What a root of the language model stands for; transformers 5 saves it alone as it holds it.
SPELLINGS = {"": HELD, STACKED: HELD, WITHIN: HELD, SWITCHED: MLX}


def mixture(config: Config, root: str) -> TextAndImageExperts:
    """In one list, experts for images come after those for texts; shared ones are as wide as several for texts."""
    text, image, corrections = SPELLINGS.get(root, PUBLISHED)
    (of_text, of_image), count = _inners(config), config["moe_num_shared_experts"]
    width, experts, chosen = config["hidden_size"], config["moe_num_experts"], config["moe_k"]
    routing = Routing(least=number(config, "moe_norm_min"), added=0.0)
    shared = gated_mlp(config, "shared_experts", inner=of_text * (count or 0), bias=bool(config["use_bias"]))

    def experts_of(kind: type[M], place: Place, inner: Size, first: int = 0) -> M:
        return kind(
            name=place.name,
            width=width,
            experts=experts,
            chosen=chosen,
            expert=gated_mlp(config, "", inner=inner),
            routing=routing,
            router=place.router,
            router_stored=place.router_stored,
            correction=place.correction,
            correction_kind=place.correction_kind,
            stacked=place.stacked,
            first=first,
        )

    return TextAndImageExperts(
        name="mlp",
        text=experts_of(MixtureOfExperts, text, of_text),
        image=experts_of(ImageExperts, image, of_image, int(experts)),
        shared=shared if count else None,
        corrections=corrections,
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
