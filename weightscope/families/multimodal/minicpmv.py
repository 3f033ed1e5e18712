"""MiniCPM-V 2.6 (arXiv 2408.01800): SigLIP's tower, a resampler of learned queries, Qwen2.

Source: `MiniCPMVConfig` and `MiniCPMV` of openbmb/MiniCPM-V-2_6.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.heads import Heads
from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.query_bridge import QueryBridge
from weightscope.components.vision.strip_eye import BoundLanguage, StripEye
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms
from weightscope.families.common.multimodal import replaced
from weightscope.families.common.refusals import refuse, require
from weightscope.families.registry import component_of, family
from weightscope.roles import Role
from weightscope.sizes import Size

MINICPMV: dict[str, Any] = {
    "version": Nullable(float), "query_num": 64, "drop_vision_last_layer": True, "use_gene_module": Nullable(bool),
}  # fmt: skip
HEAD = 128
# The tokenizer's <unk>, which the processor writes for each vector of an image; no config names it.
IMAGE_TOKEN = 128244


@family("minicpmv", roots=("as published",), defaults=MINICPMV, needs=("vision_config", "hidden_size"))
def minicpmv(config: Config, root: str) -> BoundLanguage:
    """The config is the language model's, with the tower's within it."""
    del root
    require(config, "MiniCPM-V", {"version": 2.6})
    refuse(config, "MiniCPM-V", ("drop_vision_last_layer", "use_gene_module"))
    vision = replaced(config.nested("vision_config"), vision_use_head=False)
    tower = component_of(VisionEncoder, vision, "vpm", "siglip_vision_model")
    model = component_of(CausalLM, replaced(config, model_type="qwen2", architectures=None), "model", "qwen2")
    width, norm = model.decoder.embedding.width, layer_norms(1e-6)
    if not width or width % HEAD:
        raise config.undeclared(f"MiniCPM-V whose hidden_size is not a multiple of {HEAD} is not declared")
    bridge = QueryBridge(
        name="resampler",
        width=width,
        queries=config["query_num"],
        heads=Heads(count=width // HEAD, keys=width // HEAD, size=Size(HEAD)),
        projection=Projection(name="kv_proj", inputs=tower.patches.width, outputs=width, bias=False),
        norms=(
            norm("ln_q", Role.PROJECTOR_NORM, width),
            norm("ln_kv", Role.PROJECTOR_NORM, width),
            norm("ln_post", Role.PROJECTOR_NORM, width),
        ),
    )
    return BoundLanguage(
        eye=StripEye(tower=tower, bridge=bridge),
        language=Group(name="llm", parts=(model,)),
        image_token=IMAGE_TOKEN,
        written="(<image>./</image>)",
    )
