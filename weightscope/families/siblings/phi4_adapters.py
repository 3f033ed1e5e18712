"""The LoRAs that Phi-4-multimodal is published with, one for images and one for speech (arXiv 2106.09685)."""

from __future__ import annotations

from weightscope.components.base import Repeat
from weightscope.components.outline import Outline
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.linear import Linear


def adapters(config: Config) -> Repeat:
    """Two thin matrices beside each matrix of each layer, for images and for speech."""
    s, inner = Dims.of(config), config["intermediate_size"]
    matrices = {
        "self_attn.qkv_proj": (s.queries + s.keys * 2, s.width),
        "self_attn.o_proj": (s.width, s.queries),
        "mlp.gate_up_proj": (inner * 2, s.width),
        "mlp.down_proj": (s.width, inner),
    }
    ranks = {mode: config.nested(f"{mode}_lora").with_defaults({"r": 8})["r"] for mode in ("vision", "speech")}
    inside = tuple(
        _adapter(name, mode, rank, *sizes) for name, sizes in matrices.items() for mode, rank in ranks.items()
    )
    layers = Outline(section=Section.ADAPTER, inside=inside)
    return Repeat(name="model.layers", indices=range(s.depth), child=layers)


def _adapter(name: str, mode: str, rank: Size, rows: Size, columns: Size) -> Outline:
    return Outline(
        name=name,
        items=(Linear(f"lora_A.{mode}", Role.LORA_A), Linear(f"lora_B.{mode}", Role.LORA_B)),
        shapes=((Role.LORA_A, (rank, columns)), (Role.LORA_B, (rows, rank))),
    )
