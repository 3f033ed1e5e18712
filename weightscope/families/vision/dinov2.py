"""DINOv2 (arXiv 2304.07193), with registers too. Sources: `Dinov2Config` and `Dinov2WithRegistersConfig`."""

from __future__ import annotations

from weightscope.components.vision.normed_encoder import NormedEncoder
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.dinov2 import ROOTS, encoder
from weightscope.families.siblings.vit import NEEDS, VIT

DINO = VIT | {"mlp_ratio": 4, "layer_norm_eps": 1e-6, "patch_size": 14, "use_swiglu_ffn": False}


@family("dinov2", roots=ROOTS, defaults=DINO | {"use_mask_token": True}, needs=NEEDS, base="dinov2")
def dinov2(config: Config, root: str) -> NormedEncoder:
    """Without registers."""
    return encoder(config, root, "dinov2", masked=config["use_mask_token"], registers=None)


@family(
    "dinov2_with_registers",
    roots=ROOTS,
    defaults=DINO | {"num_register_tokens": 4, "patch_size": 16},
    needs=NEEDS,
    base="dinov2_with_registers",
)
def dinov2_with_registers(config: Config, root: str) -> NormedEncoder:
    """With registers."""
    return encoder(config, root, "dinov2_with_registers", masked=True, registers=config["num_register_tokens"])
