"""The tower of MiniCPM-V 4.6 and its bridge. Sources: `MiniCPMV4_6VisionModel` and `MiniCPMV4_6Merger`."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.projection import Projection
from weightscope.components.vision.encoder import PatchEmbedding
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.windowed_tower import WindowedTower, WindowMerger
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, self_attention
from weightscope.families.siblings.siglip import PROJECTIONS, siglip_block
from weightscope.roles import Role, Section
from weightscope.sizes import Size

VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "num_channels": 3, "image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "window_kernel_size": [2, 2],
}  # fmt: skip


def kernel_of(config: Config, key: str) -> int:
    """How many patches a kernel takes.

    Raises:
        ConfigError: it is no height and width.
    """
    kernel = config[key]
    if len(kernel) != 2 or not all(type(side) is int and 0 < side < 100 for side in kernel):
        raise config.error(f"{config.prefix}{key} is {kernel!r:.60}, not a height and a width in patches")
    return int(kernel[0] * kernel[1])


def tower(vision: Config, name: str, insert: int, *, skips: bool) -> WindowedTower:
    """SigLIP's layers; after layer `insert` squares of patches are merged, unless the tower `skips` that."""
    s, norm = Dims.of(vision), layer_norms(vision["layer_norm_eps"])
    if s.width % s.heads.count:
        raise vision.error(f"{s.width.text} {s.width:,} must be a multiple of {s.heads.count.text} ({s.heads.count:,})")
    block = siglip_block(vision, s)
    cut = int(s.depth) if skips else max(0, min(insert + 1, int(s.depth)))
    return WindowedTower(
        name=name,
        patches=PatchEmbedding(
            name="embeddings",
            width=s.width,
            channels=vision["num_channels"],
            image=vision["image_size"],
            patch=vision["patch_size"],
            class_token=False,
            bias=True,
        ),
        before=(Repeat(name="encoder.layers", indices=range(cut), child=block),),
        merger=merger(vision, s),
        after=(Repeat(name="encoder.layers", indices=range(cut, s.depth), child=block),) if cut < s.depth else (),
        post_norm=norm("post_layernorm", Role.FINAL_NORM, s.width),
        skips=skips,
    )


def merger(vision: Config, s: Dims) -> WindowMerger:
    """Four patches side by side, four times as wide between."""
    norm, square = layer_norms(vision["layer_norm_eps"]), kernel_of(vision, "window_kernel_size")
    together, inner = s.width * square, vision["intermediate_size"] * square
    return WindowMerger(
        name="vit_merger",
        norm=norm("layer_norm1", Role.INPUT_NORM, s.width),
        attention=self_attention(s, linears(PROJECTIONS, bias=True), sees=Segments("window")),
        merger=PatchMerger(
            norm=norm("pre_norm", Role.POST_ATTENTION_NORM, together),
            first=Projection(name="linear_1", inputs=together, outputs=inner, bias=True, role=Role.UP_PROJ),
            second=Projection(name="linear_2", inputs=inner, outputs=s.width, bias=True, role=Role.DOWN_PROJ),
            activation="gelu_pytorch_tanh",
            square=square,
            norms_squares=True,
            section=Section.VISION,
        ),
    )


def mergers(name: str, times: int, width: Size, outputs: Size) -> tuple[PatchMerger, ...]:
    """Each makes one vector of four; the last is as wide as the language model."""
    norm, together = layer_norms(1e-6)("pre_norm", Role.PROJECTOR_NORM, width * 4), width * 4
    return tuple(
        PatchMerger(
            name=f"{name}.{number}",
            norm=norm,
            first=Projection(name="linear_1", inputs=together, outputs=together, bias=True),
            second=Projection(
                name="linear_2", inputs=together, outputs=outputs if number == times - 1 else width, bias=True
            ),
            activation="gelu",
            square=4,
            norms_squares=True,
        )
        for number in range(times)
    )
