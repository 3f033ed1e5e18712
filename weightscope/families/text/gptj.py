"""GPT-J (Wang & Komatsuzaki 2021) and CodeGen (arXiv 2203.13474). Sources: `GPTJConfig`, `CodeGenConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.rope import Rope
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.common.parts import causal_masks, linears
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer

GPTJ: dict[str, Any] = {
    "vocab_size": 50400,
    "n_positions": 2048,
    "n_embd": 4096,
    "n_layer": 28,
    "n_head": 16,
    "n_inner": Nullable(int),
    "rotary_dim": 64,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": False,
}
ALIASES = {
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
}
NEEDS = ("vocab_size", "n_embd", "n_layer", "n_head")
LAYOUT = Layout(second_norm="", matrices=("fc_in", "fc_out"))
# CodeGen was trained on this many chips, and each keeps its share of the fused matrix together.
SHARES = 4


@family("gptj", roots=("transformer", ""), defaults=GPTJ, aliases=ALIASES, needs=NEEDS)
def gptj(config: Config, root: str) -> CausalLM:
    """Neighbours in the first `rotary_dim` elements of a head are rotated; the head has a bias."""
    names = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
    projections = (*linears(names), *causal_masks(config["n_positions"]))
    return _decoder(config, root, projections)


@family("codegen", roots=("transformer", ""), defaults=GPTJ, aliases=ALIASES, needs=NEEDS)
def codegen(config: Config, root: str) -> CausalLM:
    """Rows of `qkv_proj` come in four shares, each with its queries, its values, then its keys."""
    if config["n_head"] % SHARES:
        raise config.error(f"n_head is {config['n_head']}, which CodeGen's {SHARES} shares do not divide")
    fused = Linear("qkv_proj", Role.Q_PROJ, Role.V_PROJ, Role.K_PROJ, groups=SHARES)
    positions = config["n_positions"]
    mask = Buffer("causal_mask", Role.CAUSAL_MASK, (Size(1), Size(1), positions, positions))
    return _decoder(config, root, (fused, Linear("out_proj", Role.O_PROJ), mask))


def _decoder(config: Config, root: str, projections: tuple[StorageItem, ...]) -> CausalLM:
    width = config["n_embd"]
    shape = Shape(
        width=width,
        heads=config["n_head"],
        depth=depth_of(config, "n_layer"),
        inner=config["n_inner"] or width * 4,
        eps=config["layer_norm_epsilon"],
        activation=config["activation_function"],
    )
    rope = Rope(dim=int(config["rotary_dim"]), theta=10000.0, interleaved=True)
    return decoder(config, root, LAYOUT, shape, projections, attention={"rope": rope}, heads={"bias": True})
