"""Ministral and Ministral 3 (Mistral AI 2024, 2025). Sources: `MinistralConfig`, `Ministral3Config` of transformers."""

from typing import Any

from weightscope.components.attention import Scores, Temperature
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import MISTRAL, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

YARN: dict[str, Any] = {
    "rope_type": "yarn", "rope_theta": 1000000.0, "factor": 16.0, "original_max_position_embeddings": 16384,
    "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1,
}  # fmt: skip
MINISTRAL = MISTRAL | {"layer_types": Nullable(list)}
MINISTRAL3 = MISTRAL | {
    "vocab_size": 131072, "num_hidden_layers": 34, "head_dim": Nullable(int, 128), "rms_norm_eps": 1e-5,
    "max_position_embeddings": 262144, "sliding_window": Nullable(int),
    "rope_parameters": Nullable(dict, YARN, fills=True),
}  # fmt: skip


@family("ministral", roots=("model", ""), defaults=MINISTRAL)
def ministral(config: Config, root: str) -> CausalLM:
    """`layer_types` says which layers see a window of `sliding_window` positions; without it all do."""
    s, norm, window = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["sliding_window"]
    rope, kinds = rotary(config, s.head_dim), layer_types(config, lambda _: FULL if window is None else SLIDING)

    def layer(i: int) -> Block:
        sees = visible(config, window if kinds[i] == SLIDING else None)
        attention = self_attention(s, four_projections(), positions=rope, sees=sees)
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))


@family("ministral3", roots=("model", ""), defaults=MINISTRAL3)
def ministral3(config: Config, root: str) -> CausalLM:
    """Queries beyond the context before extension are made larger, by the logarithm of how far they are."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rope = rotary(config, s.head_dim)
    share = rope.scaling.get("llama_4_scaling_beta")
    late = Temperature(share=float(share), every=rope.scaling.before) if share else None
    attention = self_attention(
        s,
        four_projections(),
        positions=rope,
        sees=visible(config, config["sliding_window"]),
        scores=Scores(temperature=late),
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
