"""GPT-Neo (Black et al. 2021): every other layer sees a window, scores are not scaled. Source: `GPTNeoConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.common.parts import causal_masks, linears
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

GPT_NEO: dict[str, Any] = {
    "vocab_size": 50257,
    "max_position_embeddings": 2048,
    "hidden_size": 2048,
    "num_layers": 24,
    "num_heads": 16,
    "attention_types": Nullable(list),
    "intermediate_size": Nullable(int),
    "window_size": 256,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
}


@family(
    "gpt_neo",
    roots=("transformer", ""),
    defaults=GPT_NEO,
    aliases={"num_layers": "num_hidden_layers", "num_heads": "num_attention_heads"},
    needs=("vocab_size", "hidden_size", "num_layers", "num_heads"),
)
def gpt_neo(config: Config, root: str) -> CausalLM:
    """`attention_types` says which layers are local: `[[["global", "local"], 12]]` is both in turn, twelve times."""
    width, positions, depth = config["hidden_size"], config["max_position_embeddings"], depth_of(config, "num_layers")
    shape = Shape(
        width=width,
        heads=config["num_heads"],
        depth=depth,
        inner=config["intermediate_size"] or width * 4,
        eps=config["layer_norm_epsilon"],
        activation=config["activation_function"],
        positions=positions,
    )
    names = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ}
    projections = (
        *linears(names),
        Linear("out_proj", Role.O_PROJ, bias=True),
        *causal_masks(positions),
    )
    kinds = _kinds(config, depth)
    window = int(config["window_size"])
    return decoder(
        config,
        root,
        Layout(positions="wpe", attention="attn.attention"),
        shape,
        projections,
        by_layer=lambda layer: (("window", window if kinds[layer] == "local" else None),),
        attention={"scale": 1.0},
        heads={"tagger": "classifier"},
    )


def _kinds(config: Config, depth: int) -> list[str]:
    said = config["attention_types"] or [[["global", "local"], 12]]
    try:
        fits = min(times for _, times in said) >= 0 and sum(len(these) * times for these, times in said) == depth
        kinds = [kind for these, times in said for kind in these * times] if fits else []
    except (TypeError, ValueError):
        kinds = []
    if len(kinds) != depth or not set(kinds) <= {"global", "local"}:
        raise config.error(f"attention_types does not name {depth:,} layers, as num_layers says")
    return kinds
