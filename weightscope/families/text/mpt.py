"""MPT (MosaicML 2023): ALiBi, and no bias anywhere. Source: `MptConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.attend_old import Alibi
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

MPT: dict[str, Any] = {
    "d_model": 2048,
    "n_heads": 16,
    "n_layers": 24,
    "expansion_ratio": 4,
    "vocab_size": 50368,
    "layer_norm_epsilon": 1e-5,
    "logit_scale": Nullable(object),
    "no_bias": True,
    "norm_type": "low_precision_layernorm",
    "tie_word_embeddings": True,
}
ATTENTION: dict[str, Any] = {
    "attn_type": "multihead_attention",
    "clip_qkv": Nullable(float),
    "softmax_scale": Nullable(float),
    "prefix_lm": False,
    "qk_ln": False,
    "alibi": True,
    "alibi_bias_max": 8,
}
MATRICES = ("up_proj", "down_proj")
LAYOUT = Layout(
    layers="blocks", input_norm="norm_1", second_norm="norm_2", mlp="ffn", matrices=MATRICES, final_norm="norm_f"
)
# What transformers' MptModel computes; other settings were MosaicML's own code.
NORMS = ("low_precision_layernorm", "layernorm")
ONLY = {"expansion_ratio": (4,), "logit_scale": (None,), "no_bias": (True,), "norm_type": NORMS}
ONLY_ATTENTION = {"attn_type": ("multihead_attention",), "prefix_lm": (False,), "qk_ln": (False,), "alibi": (True,)}


@family(
    "mpt",
    roots=("transformer", ""),
    defaults=MPT,
    aliases={"d_model": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers"},
    needs=("vocab_size", "d_model", "n_heads", "n_layers"),
)
def mpt(config: Config, root: str) -> CausalLM:
    """Rows of `Wqkv` are all queries, then all keys, then all values."""
    nested = config.nested("attn_config") if config.data.get("attn_config") else Config({}, source=config.source)
    inner = nested.with_defaults(ATTENTION, {})
    for part, allowed in ((config, ONLY), (inner, ONLY_ATTENTION)):
        for key, values in allowed.items():
            if part[key] not in values:
                raise UndeclaredError(f"MPT with {part.prefix}{key} {part[key]!r} is not declared", where=config.source)
    width, heads = config["d_model"], config["n_heads"]
    shape = Shape(
        width=width,
        heads=heads,
        depth=depth_of(config, "n_layers"),
        inner=width * 4,
        eps=config["layer_norm_epsilon"],
        activation="gelu",
        bias=False,
        norm_bias=False,
    )
    projections = (Linear("Wqkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), Linear("out_proj", Role.O_PROJ))
    near = Alibi(heads=heads, most=inner["alibi_bias_max"])
    settings = {"alibi": near, "clip": inner["clip_qkv"], "scale": inner["softmax_scale"]}
    return decoder(config, root, LAYOUT, shape, projections, attention=settings, heads={"tagger": "classifier"})
