"""What Aya Vision and Command A Vision share: tower and language model, and the bridge of squares."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.shuffle import HalvedProjector, ShuffledBridge
from weightscope.config import Config
from weightscope.families.common.multimodal import decided_text_config, replaced
from weightscope.families.common.spellings import Spelling
from weightscope.families.registry import component_of
from weightscope.roles import Role
from weightscope.sizes import Size

PARTS = ("text_config", "vision_config")


def eye_and_language(config: Config, spelling: Spelling) -> tuple[VisionEncoder, CausalLM, Group]:
    """The vision encoder, the language model, and the language model in its place.

    Raises:
        UndeclaredError: one of them is of a kind that has no such model.
    """
    tower = component_of(VisionEncoder, config.nested("vision_config"), spelling.tower, "siglip_vision_model")
    if tower.patches.class_token:
        raise config.undeclared(f"{config.model_type} with a class vector in its tower is not declared")
    # Their classes score by the head alone: what Command R's own class multiplies its logits by is not theirs.
    model = component_of(CausalLM, replaced(decided_text_config(config), logit_scale=1.0), spelling.decoder, "cohere2")
    return tower, model, Group(name=spelling.language, parts=(model,))


def bridge_of(
    config: Config,
    name: str,
    tower: VisionEncoder,
    model: CausalLM,
    inner: Size,
    *,
    norms: Callable[[str, Role, Size], LayerNorm] | None = None,
) -> tuple[ShuffledBridge, int]:
    """Squares of `downsample_factor` patches a side through two matrices, of which the first makes values and gates.

    How many vectors a crop becomes, besides.
    """
    factor, each = config["downsample_factor"], int(tower.patches.positions)
    width = tower.patches.width * factor * factor
    bridge = ShuffledBridge(
        name=name,
        factor=int(factor),
        each=each,
        norm=norms("layernorm", Role.PROJECTOR_NORM, width) if norms else None,
        inner=HalvedProjector(
            first=Projection(name="linear_1", inputs=width, outputs=inner, bias=True),
            second=Projection(name="linear_2", inputs=inner // 2, outputs=model.decoder.embedding.width, bias=True),
            activation="silu",
        ),
    )
    return bridge, each // int(factor) ** 2
