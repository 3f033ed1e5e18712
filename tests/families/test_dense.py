"""Dense families: nothing to report of what transformers saves, older spellings of their configs, what is refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.components.test_logits import TOKENS
from tests.families.tiny import Tiny
from tests.families.tiny_dense import TINY_DENSE


@pytest.mark.parametrize("tiny", TINY_DENSE, ids=lambda tiny: tiny.name)
def test_check_finds_nothing(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    findings = weightscope.open(saved(tiny.name)).check()
    assert [finding for finding in findings if finding.severity != "info"] == []


# What configs said before transformers 5, by the tiny model whose keys they replace.
OLDER: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("gemma3_text", ("rope_parameters", "layer_types"), {
        "rope_theta": 1e5, "rope_local_base_freq": 3e3, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "sliding_window_pattern": 3,
    }),
    ("gemma3_text", ("rope_parameters", "layer_types"), {}),
    ("phi-norms-rotary", ("rope_parameters",), {"partial_rotary_factor": 0.25}),
    ("phi", ("rope_parameters",), {}),
    ("olmo3", ("rope_parameters", "layer_types"), {
        "rope_theta": 500000, "rope_scaling": {
            "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "attention_factor": 1.2,
        },
    }),
    ("glm", ("rope_parameters", "head_dim"), {"head_dim": 12, "rope_theta": 3e4}),
    ("cohere2", ("rope_parameters", "layer_types"), {"rope_theta": 5e4, "sliding_window_pattern": 2}),
    ("cohere2", ("rope_parameters", "layer_types"), {}),
    ("smollm3", ("rope_parameters", "layer_types", "no_rope_layers"), {"no_rope_layer_interval": 2}),
    ("stablelm", ("rope_parameters",), {"partial_rotary_factor": 0.5, "rope_theta": 1e3}),
    ("stablelm", ("rope_parameters",), {}),
    ("hunyuan_v1_dense-alpha", ("rope_parameters",), {
        "rope_theta": 1e4, "rope_scaling": {"type": "dynamic", "alpha": 1000.0, "factor": 1.0},
    }),
    ("apertus", ("rope_parameters",), {}),
    ("ministral3", ("rope_parameters",), {}),
    ("ministral", ("layer_types",), {}),
    ("exaone4", ("layer_types",), {"sliding_window_pattern": 2}),
    ("minicpm3", ("rope_parameters",), {"rope_scaling": {
        "type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [2.0, 3.0],
        "original_max_position_embeddings": 8,
    }}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "dropped", "added"), OLDER, ids=lambda value: value if isinstance(value, str) else "")
def test_configs_as_published(
    name: str, dropped: tuple[str, ...], added: dict[str, Any], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Keys that a saved config has now, left out or spelled as before: it means what transformers takes it to mean."""
    from transformers import AutoModelForCausalLM

    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    keys = json.loads((saved(name) / "config.json").read_text())
    kept = {key: value for key, value in keys.items() if key not in dropped} | added
    (tmp_path / "config.json").write_text(json.dumps(kept))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = AutoModelForCausalLM.from_pretrained(tmp_path)(torch.tensor([TOKENS])).logits[0]
    logits = weightscope.open(tmp_path).forward(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("smollm3", {"no_rope_layers": [1, 0]}, "no_rope_layers does not name 5 layers"),
        ("exaone4", {"layer_types": None, "sliding_window_pattern": "LLxG"}, "neither a number nor letters"),
        ("apertus-bias-relu", {"hidden_act": "mish"}, "'mish'"),
    ],
)
def test_what_is_not_declared_is_named(
    name: str, config: dict[str, Any], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    keys = json.loads((saved(name) / "config.json").read_text()) | config
    (tmp_path / "config.json").write_text(json.dumps(keys))
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(tmp_path).forward(TOKENS)
