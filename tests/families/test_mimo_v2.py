"""MiMo-V2-Flash by the config that Xiaomi publishes, whose keys transformers' class does not have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

import weightscope
from tests.components.test_logits import TOKENS
from weightscope.errors import WeightscopeError

XIAOMI: dict[str, Any] = {
    "hybrid_layer_pattern": [1, 0, 1], "moe_layer_freq": [1, 0, 1], "rope_theta": 3e3, "swa_rope_theta": 50.0,
    "partial_rotary_factor": 0.5, "layernorm_epsilon": 1e-3, "swa_num_attention_heads": 12,
    "swa_num_key_value_heads": 4, "swa_head_dim": 12, "swa_v_head_dim": 7, "add_swa_attention_sink_bias": True,
    "add_full_attention_sink_bias": False, "n_shared_experts": None, "scoring_func": "sigmoid",
}  # fmt: skip


def rewritten(directory: Path, to: Path, changed: dict[str, Any]) -> weightscope.Model:
    """The checkpoint with Xiaomi's keys in the place of the class's."""
    config = json.loads((directory / "config.json").read_text())
    for key in ("layer_types", "mlp_layer_types", "rope_parameters", "rms_norm_eps"):
        del config[key]
    (to / "config.json").write_text(json.dumps(config | XIAOMI | changed))
    (to / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes())
    return weightscope.open(to)


def test_the_published_keys_mean_the_same(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = saved("mimo_v2_flash-bias-scaled")
    model = rewritten(directory, tmp_path, {})
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    oracle = AutoModelForCausalLM.from_pretrained(directory, experts_implementation="eager").eval()
    with torch.no_grad():
        expected = oracle(torch.tensor([TOKENS]), use_cache=False).logits[0]
    torch.testing.assert_close(
        model.forward(TOKENS).logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
    )


@pytest.mark.parametrize(
    ("changed", "misfits"),
    [
        ({"swa_num_key_value_heads": 6}, {"k_proj.weight", "k_proj.bias", "v_proj.weight", "v_proj.bias"}),
        ({"swa_v_head_dim": 5}, {"v_proj.weight", "v_proj.bias", "o_proj.weight"}),
        ({"add_full_attention_sink_bias": True}, {"attention_sink_bias"}),
    ],
)
def test_sizes_of_layers_with_a_window_are_their_own(
    changed: dict[str, Any], misfits: set[str], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    model = rewritten(saved("mimo_v2_flash-bias-scaled"), tmp_path, changed)
    found = {name for f in model.check() if f.severity == "error" for name in misfits if name in str(f)}
    assert found == misfits


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hybrid_layer_pattern": [1, 0]}, "hybrid_layer_pattern does not say 0 or 1 for 3 layers"),
        ({"moe_layer_freq": [1, 0, 7]}, "moe_layer_freq does not say 0 or 1 for 3 layers"),
        ({"n_shared_experts": 1}, "n_shared_experts"),
    ],
)
def test_what_is_not_declared_is_refused(
    changed: dict[str, Any], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(WeightscopeError, match=said):
        rewritten(saved("mimo_v2_flash-bias-scaled"), tmp_path, changed).forward(TOKENS)
