"""The LoRAs that Phi-4-multimodal is published with, one for images and one for speech (arXiv 2106.09685)."""

from __future__ import annotations

from weightscope.components.base import Group, Repeat
from weightscope.components.inner_adapters import InnerAdapter, LoraBeside
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.roles import Section

LORA = {"r": 8, "lora_alpha": 8}
WHEN = {"vision": "with images", "speech": "with speech alone"}


def adapter(config: Config, mode: str) -> InnerAdapter:
    """What is added to each matrix of each layer in that mode.

    Raises:
        ConfigError: a rank of 0.
    """
    return InnerAdapter(
        weight="base_layer.weight",
        a=f"lora_A.{mode}.weight",
        b=f"lora_B.{mode}.weight",
        scale=_scale(config, mode),
    )


def adapters(config: Config) -> Repeat:
    """Two thin matrices beside each matrix of each layer, for images and for speech."""
    s, inner = Dims.of(config), config["intermediate_size"]
    matrices = {
        "self_attn.qkv_proj": (s.queries + s.keys * 2, s.width),
        "self_attn.o_proj": (s.width, s.queries),
        "mlp.gate_up_proj": (inner * 2, s.width),
        "mlp.down_proj": (s.width, inner),
    }
    parts = tuple(
        LoraBeside(
            name=name,
            inputs=columns,
            outputs=rows,
            rank=_settings(config, mode)["r"],
            mode=mode,
            scale=_scale(config, mode),
            when=when,
        )
        for name, (rows, columns) in matrices.items()
        for mode, when in WHEN.items()
    )
    layer = Group(section=Section.ADAPTER, parts=parts)
    return Repeat(name="model.layers", indices=range(s.depth), child=layer)


def _settings(config: Config, mode: str) -> Config:
    return config.nested(f"{mode}_lora").with_defaults(LORA)


def _scale(config: Config, mode: str) -> float:
    settings = _settings(config, mode)
    if not settings["r"]:
        raise config.error(f"the rank of {mode}_lora is 0")
    return float(settings["lora_alpha"] / settings["r"])
