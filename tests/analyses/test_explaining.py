"""What `explain` says of single tensors, and what it says where there is nothing to explain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weightscope
from tests.families.tiny import TINY

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"

K_PROJ = """\
model.layers.1.self_attn.k_proj.weight   k_proj · attention · layer 1

Computes    k = rope(k_proj·x)   in 2 heads of 4, each for 3 of the queries
Within      o_proj·softmax(q·kᵀ/√4)·v
Shape       [8, 24]   num_key_value_heads·head_dim × hidden_size
Stored      BF16 in model-00002-of-00004.safetensors
Parameters  192   0.7 % of all
Before      input_norm   model.layers.1.input_layernorm.weight
Beside      q_proj, v_proj, o_proj   model.layers.1.self_attn.q_proj.weight
            model.layers.1.self_attn.v_proj.weight
            model.layers.1.self_attn.o_proj.weight
After       post_attention_norm   model.layers.1.post_attention_layernorm.weight

Rope turns 4 elements of a head in halves by position, theta 10000.
"""


def test_table(run: Any) -> None:
    assert run("explain", "fixtures/llama", "model.layers.1.self_attn.k_proj.weight") == (0, K_PROJ, "")


def test_json(run: Any) -> None:
    status, out, _ = run(
        "explain", "fixtures/deepseek-v3", "model.layers.2.mlp.experts.3.up_proj.weight", "--format", "json"
    )
    document = json.loads(out)
    tensor = document["tensor"]
    assert (status, document["schema_version"], document["model"]["family"]) == (0, 1, "deepseek_v3")
    assert {key: tensor[key] for key in ("roles", "component", "kind", "layer", "expert", "dtype", "shape")} == {
        "roles": ["up_proj"], "component": "moe", "kind": "weight", "layer": 2, "expert": 3, "dtype": "F8_E4M3",
        "shape": [12, 24],
    }  # fmt: skip
    assert tensor["shape_terms"] == ["moe_intermediate_size", "hidden_size"]
    assert tensor["terms"] == ["u = up_proj·x"]
    assert tensor["before"]["names"] == ["model.layers.2.mlp.gate.weight"]
    # Of the same expert, not of all.
    assert tensor["beside"]["names"] == [
        "model.layers.2.mlp.experts.3.gate_proj.weight",
        "model.layers.2.mlp.experts.3.down_proj.weight",
    ]
    assert tensor["after"]["names"][0] == "model.layers.2.mlp.shared_experts.gate_proj.weight"


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        ("gpt2", "h.0.attn.c_attn.weight", "stored (in, out): the pass transposes it; columns are 24 of q_proj, 24 of"),
        ("gpt2", "h.1.attn.bias", "A buffer, no learned weight: newer code computes it"),
        ("gpt2", "wte.weight", "Tied: it is the head as well"),
        ("gpt2", "wpe.weight", "position_embedding[position]"),
        ("deepseek-v3", "model.layers.1.mlp.gate.e_score_correction_bias", "s + router_bias decides which experts"),
        ("deepseek-v3", "model.layers.1.mlp.gate.weight", "the best 2 of 4 experts, out of the best 1 of 2 groups"),
        ("deepseek-v3", "model.layers.0.self_attn.q_a_proj.weight_scale_inv", "A scale of the fp8 weight beside it"),
        ("deepseek-v3", "model.layers.3.eh_proj.weight", "Of a part that the main model runs without."),
        ("qwen3-mlx-4bit", "model.layers.0.mlp.up_proj.weight", "Packed: "),
        ("mini", "a.weight", "Its role is inferred from its name"),
        ("llava", "vision_tower.vision_model.embeddings.patch_embedding.weight", "a vector for each"),
    ],
)
def test_what_is_special(model: str, name: str, said: str, run: Any) -> None:
    if model == "mini":
        name = next(iter(weightscope.open(FIXTURES / "mini").tensors))
    status, out, _ = run("explain", f"fixtures/{model}", name)
    assert status == 0
    assert said in " ".join(out.split())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("model.layers.9.mlp.up_proj.weight", "there are model.layers.{0–2}.mlp.up_proj.weight"),
        ("model.layers.1.mlp.up_proj", "is it model.layers.1.mlp.up_proj.weight?"),
        ("model.layers.1.mlp.upproj.weight", "did you mean model.layers.{0–2}.mlp.up_proj.weight"),
        ("nothing like it", "`weightscope tensors MODEL` lists them"),
        ("x" * 100_000, "lists them"),
    ],
)
def test_names_that_are_none(name: str, hint: str, run: Any) -> None:
    status, out, error = run("explain", "fixtures/llama", name)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert hint in error


def test_a_config_alone_explains_too(run: Any) -> None:
    status, out, _ = run("explain", "fixtures/llama/config.json", "lm_head.weight")
    assert status == 0
    assert "Shape       [256, 24]   vocab_size × hidden_size" in out
    assert "Before      final_norm   model.norm.weight" in out


def test_a_share_of_what_is_not_all_here_is_not_told(run: Any, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(FIXTURES / "llama", tmp_path / "llama")
    (tmp_path / "llama" / "model-00003-of-00004.safetensors").unlink()
    status, out, error = run("explain", tmp_path / "llama", "model.embed_tokens.weight")
    assert (status, out) == (2, "")
    assert "1 of 4 shards" in error


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
def test_every_declared_tensor_has_a_term_and_a_shape(tiny: Any, saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved(tiny.name))
    seen = set()
    for name, tensor in model.tensors.items():
        explanation = model.explain(name)
        assert explanation.shape == tensor.shape
        assert len(explanation.shape_terms) == len(tensor.shape)
        if tensor.kind != "buffer":
            assert len(explanation.terms) == len(tensor.roles), name
            assert explanation.equation
        seen.add(explanation.roles)
    total = sum(model.explain(name).share for name in model.tensors)
    assert total == pytest.approx(1, abs=1e-4)
    assert len(seen) > 5


def test_neighbours_lead_through_the_whole_model(saved: Callable[[str], Path]) -> None:
    """From the embedding, `after` passes every component once and ends at the head."""
    model = weightscope.open(saved("llama"))
    name, steps = "model.embed_tokens.weight", ["model.embed_tokens.weight"]
    while (after := model.explain(name).after) is not None:
        name = after.names[0]
        steps.append(name)
    assert steps[-1] == "lm_head.weight"
    assert len(steps) == 1 + 3 * 4 + 2
    back = [name]
    while (before := model.explain(name).before) is not None:
        name = before.names[0]
        back.append(name)
    assert back == steps[::-1]
