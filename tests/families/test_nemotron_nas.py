"""Llama-Nemotron: the published 49B by its own count, and configs that do not say what a layer is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import weightscope
from weightscope.components.decoder import CausalLM
from weightscope.errors import ConfigError, WeightscopeError

# The layers of nvidia/Llama-3_3-Nemotron-Super-49B-v1, from its config.json: how many, whether they attend, ffn_mult.
LAYERS: list[tuple[int, bool, float]] = [
    (1, True, 2.625), (5, True, 5.25), (2, False, 2.625), (3, True, 5.25), (1, False, 3.28125), (30, True, 5.25),
    (1, False, 1.3125), (2, False, 2.625), (1, False, 1.3125), (1, False, 5.25), (1, False, 1.3125), (1, False, 2.625),
    (3, False, 1.3125), (1, True, 5.25), (1, False, 1.3125), (2, False, 1.0), (1, False, 1.3125), (3, False, 1.0),
    (2, False, 1.3125), (2, False, 0.5), (2, False, 1.0), (2, False, 0.5), (1, False, 1.0), (2, False, 0.5),
    (9, True, 5.25),
]  # fmt: skip
# What the Hugging Face Hub says of the files.
PARAMETERS = 49_867_145_216


def block(attends: bool, factor: float) -> dict[str, Any]:
    """One entry of `block_configs`, with the keys that it has in the published file."""
    attention = {"n_heads_in_group": 8 if attends else None, "no_op": not attends, "replace_with_linear": False}
    unused = {"num_sink_tokens": None, "sparsify": None, "unshifted_sink": False, "window_length": None}
    ffn = {"ffn_mult": factor, "no_op": False, "replace_with_linear": False, "sparsify": None}
    return {"attention": attention | unused, "ffn": ffn}


SUPER: dict[str, Any] = {
    "model_type": "nemotron-nas", "architectures": ["DeciLMForCausalLM"], "attention_bias": False,
    "block_configs": [block(attends, factor) for count, attends, factor in LAYERS for _ in range(count)],
    "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": None, "max_position_embeddings": 131072,
    "mlp_bias": False, "num_attention_heads": 64, "num_hidden_layers": 80, "num_key_value_heads": None,
    "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    "rope_scaling": {
        "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "vocab_size": 128256,
}  # fmt: skip


def opened(folder: Path, **keys: Any) -> weightscope.Model:
    """The config alone, with other values of some keys."""
    (folder / "config.json").write_text(json.dumps(SUPER | keys))
    return weightscope.open(folder / "config.json")


def test_the_published_count(tmp_path: Path) -> None:
    assert opened(tmp_path).parameters.total == PARAMETERS


def with_first(half: str, **keys: Any) -> list[dict[str, Any]]:
    """The published layers, the first with other settings of a half."""
    first, *others = SUPER["block_configs"]
    return [first | {half: first[half] | keys}, *others]


@pytest.mark.parametrize(
    ("blocks", "error", "said"),
    [
        (None, ConfigError, "'block_configs' has 0 entries for 80 layers"),
        (SUPER["block_configs"][:79], ConfigError, "'block_configs' has 79 entries for 80 layers"),
        ([3] * 80, ConfigError, "'block_configs' lacks 'attention' or 'ffn' of layer 0"),
        (with_first("attention", n_heads_in_group=7), ConfigError, "'n_heads_in_group' is 7"),
        (with_first("attention", n_heads_in_group=None), ConfigError, "'n_heads_in_group' is None"),
        (with_first("attention", no_op="yes"), ConfigError, "must be true or false"),
        (with_first("ffn", ffn_mult=0), ConfigError, "'ffn_mult' is 0"),
        (with_first("ffn", ffn_mult="5"), ConfigError, "'ffn_mult' is '5'"),
        (with_first("ffn", moe={"num_experts": 8}), WeightscopeError, "'moe' in block_configs is not declared"),
    ],
)
def test_layers_that_are_not_said(blocks: Any, error: type[Exception], said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        opened(tmp_path, block_configs=blocks).parameters  # noqa: B018


def test_windows_are_not_computed(tmp_path: Path) -> None:
    model = opened(tmp_path, block_configs=with_first("attention", window_length=512))
    assert model.parameters.total == PARAMETERS
    assert model.declaration is not None
    tree = model.declaration.tree
    assert isinstance(tree, CausalLM)
    assert "with a window or sinks is not implemented" in tree.refused
