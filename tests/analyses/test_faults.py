"""What `inspect` notices: faults planted in sound checkpoints, one finding a group."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from weightscope.findings import Finding

FIXTURES = Path(__file__).parents[2] / "fixtures"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., tuple[Finding, ...]]:
    """Change a fixture's tensors or config, and give the findings above info."""

    def plant(fixture: str, change: Callable[[Tensors], object] = lambda _: None, **config: Any) -> tuple[Finding, ...]:
        keys = json.loads((FIXTURES / fixture / "config.json").read_text()) | config
        (tmp_path / "config.json").write_text(json.dumps(keys))
        tensors: Tensors = {}
        for file in (FIXTURES / fixture).glob("*.safetensors"):
            tensors |= load_file(file)
        change(tensors)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
        return tuple(f for f in weightscope.open(tmp_path).summary().findings if f.severity != "info")

    return plant


@pytest.mark.parametrize("fixture", ["llama", "mixtral", "deepseek-v3", "llava", "qwen3-mlx-4bit"])
def test_a_sound_checkpoint_stays_sound(fixture: str, plant: Any) -> None:
    assert plant(fixture) == ()


def test_missing(plant: Any) -> None:
    def drop(tensors: Tensors) -> None:
        for layer in (1, 2):
            del tensors[f"model.layers.{layer}.mlp.up_proj.weight"]

    (finding,) = plant("llama", drop)
    assert (finding.code, finding.severity) == ("missing-tensor", "error")
    assert finding.tensors == ("model.layers.{1–2}.mlp.up_proj.weight",)
    assert finding.expected == [52, 24]
    assert finding.config == ("intermediate_size", "hidden_size")


def test_unexpected(plant: Any) -> None:
    (finding,) = plant("llama", lambda t: t.update({f"model.layers.{n}.extra.weight": torch.ones(2) for n in range(3)}))
    assert (finding.code, finding.severity) == ("unexpected-tensor", "warning")
    assert finding.tensors == ("model.layers.{0–2}.extra.weight",)


def test_experts_are_one_finding(plant: Any) -> None:
    def rename(tensors: Tensors) -> None:
        for name in [name for name in tensors if name.endswith("w1.weight")]:
            tensors[name.replace("w1", "gate")] = tensors.pop(name)

    missing, unexpected = plant("mixtral", rename)
    assert missing.tensors == ("model.layers.{0–2}.block_sparse_moe.experts.{0–3}.w1.weight",)
    assert missing.hint.startswith("model.layers.{0–2}.block_sparse_moe.experts.{0–3}.gate.weight is stored")
    assert unexpected.tensors == ("model.layers.{0–2}.block_sparse_moe.experts.{0–3}.gate.weight",)


def test_shapes_are_said_in_config_terms(plant: Any) -> None:
    k_proj, v_proj = plant("llama", num_key_value_heads=3)
    assert (k_proj.code, k_proj.severity) == ("shape-mismatch", "error")
    assert k_proj.tensors == ("model.layers.{0–2}.self_attn.k_proj.weight",)
    assert (k_proj.expected, k_proj.actual) == ([12, 24], [8, 24])
    assert k_proj.config == ("num_key_value_heads", "head_dim", "hidden_size")
    assert "num_key_value_heads·head_dim × hidden_size" in k_proj.message
    assert v_proj.tensors == ("model.layers.{0–2}.self_attn.v_proj.weight",)


def test_untied_values_under_a_tied_config_are_seen_with_values(plant: Any, tmp_path: Path) -> None:
    assert plant("mixtral", lambda t: t["lm_head.weight"].add_(1)) == ()
    model = weightscope.open(tmp_path)
    model.compare_tied_values()
    assert model.tying.evidence == "untied"
    assert model.parameters.total == 56136 + 6144
    (finding,) = model.summary().findings
    assert (finding.code, finding.severity) == ("tie-mismatch", "error")


def test_absent_head_of_an_untied_config(plant: Any, tmp_path: Path) -> None:
    (finding,) = plant("llama", lambda t: t.pop("lm_head.weight"))
    assert (finding.code, finding.severity) == ("tie-mismatch", "error")
    embeddings = weightscope.open(tmp_path).summary().embeddings
    assert (embeddings.tied, embeddings.declared, embeddings.evidence) == (False, False, "absent-head")


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("total_size", 1234, "size-mismatch"),
        ("total_parameters", 1234, "index-mismatch"),
        ("total_parameters", 28296, None),
        ("total_size", 56592.0, None),
        ("total_size", 0, None),
        ("total_size", "56592", None),
    ],
)
def test_totals_of_the_index(key: str, value: object, code: str | None, tmp_path: Path) -> None:
    """llama has 28,296 parameters, of two bytes each."""
    shutil.copytree(FIXTURES / "llama", tmp_path / "llama")
    index = tmp_path / "llama" / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["metadata"][key] = value
    index.write_text(json.dumps(content))
    findings = weightscope.open(tmp_path / "llama").summary().findings
    assert [finding.code for finding in findings] == ([code] if code else [])


def test_an_undeclared_type_is_said_to_be_one(plant: Any) -> None:
    (finding,) = plant("llama", model_type="llama_of_tomorrow")
    assert (finding.code, finding.severity) == ("unknown-architecture", "warning")
    assert "'llama_of_tomorrow'" in finding.message


def test_a_quantization_config_that_was_left_over_is_named(plant: Any, tmp_path: Path) -> None:
    (finding,) = plant("llama", quantization_config={"quant_method": "gptq", "bits": 4})
    assert (finding.code, finding.severity) == ("quantization-mismatch", "error")
    assert "gptq" in finding.message
    summary = weightscope.open(tmp_path).summary()
    assert summary.model.recognized
    assert not any(role.inferred for component in summary.components for role in component.roles)


def test_weights_without_a_config(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "mini" / "model.safetensors", tmp_path)
    (finding,) = weightscope.open(tmp_path).summary().findings
    assert (finding.code, finding.severity) == ("config-missing", "warning")


def test_multi_token_prediction_that_is_not_stored_is_only_information(saved: Callable[[str], Path]) -> None:
    findings = weightscope.open(saved("deepseek_v3")).summary().findings
    assert [(finding.code, finding.severity) for finding in findings] == [("missing-tensor", "info")]
