"""ConvNeXt (arXiv 2201.03545) and its version 2 (arXiv 2301.00808). Sources: `ConvNextConfig`, `ConvNextV2Config`."""

from __future__ import annotations

from typing import Any

from weightscope.components.vision.staged import StagedEncoder
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.convnext import encoder

CONVNEXT: dict[str, Any] = {
    "num_channels": 3, "patch_size": 4, "num_stages": 4, "hidden_sizes": [96, 192, 384, 768], "depths": [3, 3, 9, 3],
    "hidden_act": "gelu", "layer_norm_eps": 1e-12, "image_size": 224,
}  # fmt: skip
ATTRIBUTES = {"num_hidden_layers": "num_stages"}
NEEDS = ("hidden_sizes", "depths")


@family(
    "convnext",
    roots=("",),
    defaults=CONVNEXT | {"layer_scale_init_value": 1e-6},
    attribute_map=ATTRIBUTES,
    needs=NEEDS,
    base="convnext",
)
def convnext(config: Config, root: str) -> StagedEncoder:
    """What a layer adds is scaled unless `layer_scale_init_value` is 0."""
    return encoder(config, root, "convnext", scaled=config["layer_scale_init_value"] > 0, normed=False)


@family("convnextv2", roots=("",), defaults=CONVNEXT, attribute_map=ATTRIBUTES, needs=NEEDS, base="convnextv2")
def convnextv2(config: Config, root: str) -> StagedEncoder:
    """Within the MLP a norm of responses in the place of scales."""
    return encoder(config, root, "convnextv2", scaled=False, normed=True)
