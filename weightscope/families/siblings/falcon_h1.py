"""Falcon-H1 as MLX's converter stores it: multiplied by most of what muP multiplies."""

from __future__ import annotations

from weightscope.config import Config
from weightscope.families.common.numbers import divisor

# MLX's converter multiplies weights by most of what muP does, and turns the kernels, under the same names.
BY_MLX = "model, multiplied by MLX"
# It leaves biases as they are, so that with them no factors give the same again.
COMPUTED = dict.fromkeys(("attention_bias", "mlp_bias", "projectors_bias", "mamba_proj_bias"), (False, None))


def unfolded(config: Config, times: dict[str, float]) -> dict[str, float]:
    """What still multiplies where MLX has multiplied the weights.

    Keys are not multiplied by `key_multiplier`, nor values by `attention_in_multiplier`: to multiply what leaves
    attention comes to the same. A tied embedding has its own factor alone.

    Raises:
        ConfigError: a tied embedding is multiplied by 0.
    """
    head = times["lm_head"] / divisor(config, "embedding_multiplier") if config["tie_word_embeddings"] else 1.0
    return dict.fromkeys(times, 1.0) | {"key": times["key"], "attention_out": times["attention_in"], "lm_head": head}
