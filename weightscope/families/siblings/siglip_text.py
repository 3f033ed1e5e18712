"""SigLIP's text encoders: their keys, and the head that makes one vector of a text (arXiv 2303.15343)."""

from __future__ import annotations

from typing import Any

from weightscope.components.projection import Projection
from weightscope.config import Config, Nullable
from weightscope.roles import Role

SIGLIP_TEXT: dict[str, Any] = {
    "vocab_size": 32000, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "max_position_embeddings": 64, "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6, "projection_size": Nullable(int),
}  # fmt: skip


def text_head(config: Config, root: str) -> Projection:
    """From the last token's features to the text's vector."""
    width, size = config["hidden_size"], config["projection_size"]
    return Projection(
        name=f"{root}.head" if root else "head",
        inputs=width,
        outputs=width if size is None else size,
        bias=True,
        role=Role.OUTPUT_PROJ,
    )
