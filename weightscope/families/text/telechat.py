"""TeleChat (arXiv 2401.03804) in the layout of 7B and 12B, after BLOOM's. Source: `TelechatConfig`."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

from weightscope.components.attention.rope import Rope
from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common.dims import depth_of
from weightscope.families.common.layout import Names, attention, refuse, sequential, swiglu
from weightscope.families.common.parts import head
from weightscope.families.registry import family
from weightscope.families.text.telechat_52b import telechat_52b
from weightscope.roles import Role
from weightscope.storage.linear import Linear

TELECHAT: dict[str, Any] = {
    "vocab_size": 160256,
    "hidden_size": 4096,
    "ffn_hidden_size": 12288,
    "n_layer": 30,
    "n_head": 32,
    "layer_norm_epsilon": 1e-5,
    "training_seqlen": 8192,
    "tie_word_embeddings": True,
}
NAMES = Names(embedding="word_embeddings", layers="h", final_norm="ln_f")
REFUSED = ("apply_residual_connection_post_layernorm", "embed_layernorm")


@family("telechat", roots=("transformer", ""), defaults=TELECHAT, needs=("vocab_size", "n_layer", "n_head"))
def telechat(config: Config, root: str) -> CausalLM:
    """Rows of `key_value` are, head by head, its key and its value; 52B is another layout under the same type."""
    if "n_embd" in config:
        return telechat_52b(config, root)
    refuse(config, "TeleChat", REFUSED)
    width, heads = config["hidden_size"], config["n_head"]
    return sequential(
        config,
        root,
        NAMES,
        width=width,
        depth=depth_of(config, "n_layer"),
        eps=config["layer_norm_epsilon"],
        attention=attention(
            "self_attention",
            Linear("query", Role.Q_PROJ),
            Linear("key_value", Role.K_PROJ, Role.V_PROJ, groups=heads),
            Linear("dense", Role.O_PROJ, bias=True),
            width=width,
            heads=heads,
            rope=_rope(config, width // heads),
        ),
        feed_forward=swiglu(
            "mlp",
            Linear("gate_proj", Role.GATE_PROJ),
            Linear("up_proj", Role.UP_PROJ),
            Linear("down_proj", Role.DOWN_PROJ, bias=True),
            width=width,
            inner=config["ffn_hidden_size"],
        ),
        head=head(config, root),
    )


def _rope(config: Config, dim: int) -> Rope:
    """Theta is raised once for `training_seqlen` positions, and again, in steps, for longer sequences."""
    trained = max(int(config["training_seqlen"]), 1)
    alpha = max(2 ** ceil(log2(trained / 4096) + 1) - 1, 1)
    theta = 10000.0 * alpha ** (dim / (dim - 2))
    return Rope(
        dim=int(dim), theta=theta, limit=trained, beyond="theta grows for sequences longer than training_seqlen"
    )
