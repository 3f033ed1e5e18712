"""What `explain` says of single tensors, and what it says where there is nothing to explain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weightscope
from tests.families.tiny import TINY
from tests.quantization.bench import fp8_experts

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"

K_PROJ = """\
model.layers.1.self_attn.k_proj.weight   k_proj · attention · layer 1

Computes    k = rope(k_proj·x)   in 2 heads of 4, each shared by 3 query heads
Within      o_proj·softmax(q·kᵀ/√4)·v
Shape       [8, 24]   num_key_value_heads·head_dim × hidden_size
Stored      BF16 in model-00002-of-00004.safetensors
Parameters  192   0.7 % of all
Before      input_norm  model.layers.1.input_layernorm.weight
Beside      q_proj  model.layers.1.self_attn.q_proj.weight
            v_proj  model.layers.1.self_attn.v_proj.weight
            o_proj  model.layers.1.self_attn.o_proj.weight
After       post_attention_norm  model.layers.1.post_attention_layernorm.weight

RoPE rotates 4 dimensions of each head, pairing halves, theta 10000.
"""


def test_table(run: Any) -> None:
    assert run("explain", "fixtures/llama", "model.layers.1.self_attn.k_proj.weight") == (0, K_PROJ, "")


def test_a_cap_of_a_router_and_gates_by_softplus(saved: Callable[[str], Path], run: Any) -> None:
    model = str(saved("laguna-heads-elements"))
    _, routed, _ = run("explain", model, "model.layers.0.mlp.gate.weight")
    assert "s = sigmoid(cap(router·x, 0.5)): the top 2 of 5 experts, with weights that sum to 1" in " ".join(
        routed.split()
    )
    _, gated, _ = run("explain", model, "model.layers.0.self_attn.g_proj.weight")
    assert "softplus(attention_gate·x) multiplies the heads" in gated


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
        ("gpt2", "h.1.attn.bias", "A buffer, not a learned weight: newer code computes it"),
        ("gpt2", "wte.weight", "Tied: also used as the head"),
        ("gpt2", "wpe.weight", "position_embedding[position]"),
        ("deepseek-v3", "model.layers.1.mlp.gate.e_score_correction_bias", "s + router_bias selects the experts"),
        ("deepseek-v3", "model.layers.1.mlp.gate.weight", "the top 2 of 4 experts, from the top 1 of 2 groups"),
        (
            "deepseek-v3",
            "model.layers.0.self_attn.q_a_proj.weight_scale_inv",
            "Scale of model.layers.0.self_attn.q_a_proj.weight",
        ),
        (
            "deepseek-v3",
            "model.layers.3.eh_proj.weight",
            "Part of the auxiliary layers, which the main model does not use.",
        ),
        ("qwen3-mlx-4bit", "model.layers.0.mlp.up_proj.weight", "Packed: "),
        ("mini", "a.weight", "Role guessed from the name"),
        ("llava", "vision_tower.vision_model.embeddings.patch_embedding.weight", "a vector for each"),
    ],
)  # fmt: skip
def test_what_is_special(model: str, name: str, said: str, run: Any) -> None:
    if model == "mini":
        name = next(iter(weightscope.open(FIXTURES / "mini").tensors))
    status, out, _ = run("explain", f"fixtures/{model}", name)
    assert status == 0
    assert said in " ".join(out.split())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("model.layers.9.mlp.up_proj.weight", 'there are "model.layers.{0–2}.mlp.up_proj.weight"'),
        ("model.layers.9.mlp.up_proj", 'there are "model.layers.{0–2}.mlp.up_proj.weight"'),
        ("model.layers.{7–9}.mlp.up_proj.weight", "did you mean"),
        ("model.layers.1.mlp.upproj.weight", 'did you mean "model.layers.{0–2}.mlp.up_proj.weight"'),
        ("nothing like it", "`weightscope tensors MODEL` lists them"),
        ("x" * 100_000, "lists them"),
    ],
)
def test_names_that_are_none(name: str, hint: str, run: Any) -> None:
    status, out, error = run("explain", "fixtures/llama", name)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert hint in error


@pytest.mark.parametrize(
    ("model", "typed", "name", "matches"),
    [
        ("llama", "model.layers.1.mlp.up_proj", "model.layers.1.mlp.up_proj.weight", 0),
        ("llama", "layers.1.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight", 0),
        ("llama", "layers.1.mlp.up_proj", "model.layers.1.mlp.up_proj.weight", 0),
        ("llama", "mlp.up_proj", "model.layers.0.mlp.up_proj.weight", 1),
        ("llama", "model.layers.{}.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight", 1),
        ("llama", "model.layers.{1–2}.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight", 1),
        ("llama", "*layers.2*up_proj*", "model.layers.2.mlp.up_proj.weight", 0),
        ("llama", "*", "model.embed_tokens.weight", 12),
        ("llama", "up_proj", "model.layers.0.mlp.up_proj.weight", 1),
        ("llama", "lm_head", "lm_head.weight", 0),
        ("llama", "norm", "model.norm.weight", 0),
        ("llama", "final_norm", "model.norm.weight", 0),
        ("llama", "transformer.layers.1.mlp.up_proj", "model.layers.1.mlp.up_proj.weight", 0),
        ("gpt2", "transformer.wte", "wte.weight", 0),
        ("gpt2", "q_proj", "h.0.attn.c_attn.weight", 2),
        ("gpt2", "k_proj", "h.0.attn.c_attn.weight", 2),
        ("llama/config.json", "model.layers.2.mlp.up_proj", "model.layers.2.mlp.up_proj.weight", 0),
        ("llama/config.json", "up_proj", "model.layers.0.mlp.up_proj.weight", 1),
        ("mixtral", "layers.1.block_sparse_moe.experts.3.w1", "model.layers.1.block_sparse_moe.experts.3.w1.weight", 0),
        ("gguf/llama.gguf", "model.layers.1.self_attn.q_proj", "blk.1.attn_q.weight", 0),
        ("gguf/llama.gguf", "mlp.up_proj", "blk.0.ffn_up.weight", 1),
    ],
)
def test_names_may_be_typed_in_many_ways(model: str, typed: str, name: str, matches: int, run: Any) -> None:
    code, out, error = run("explain", f"fixtures/{model}", typed, "--json")
    assert (code, error) == (0, "")
    tensor = json.loads(out)["tensor"]
    assert (tensor["name"], len(tensor["matches"])) == (name, matches)


@pytest.mark.parametrize("fixture", ["llama", "gpt2", "deepseek-v3", "mixtral", "llava", "mini", "qwen3-mlx-4bit"])
def test_what_is_shown_can_be_pasted(fixture: str, run: Any) -> None:
    """Every name in the table of `tensors` is found by `explain`, which then shows the same ranges."""
    shown = run("tensors", f"fixtures/{fixture}")[1].splitlines()
    titles = [line.split("  ")[0] for line in shown[shown.index("") + 2 : -2]]
    assert len(titles) > 8
    for title in titles:
        code, out, _ = run("explain", f"fixtures/{fixture}", title)
        assert code == 0
        assert title.replace(" ", "") in "".join(out.split())
        assert run("tensors", f"fixtures/{fixture}", title)[1].splitlines()[-3].startswith(title)


@pytest.mark.parametrize("typed", ["model.layers.9.mlp.up_proj.weight", "upproj", "model.layers.1.mlp.upproj.weight"])
def test_what_is_suggested_can_be_pasted(typed: str, run: Any) -> None:
    import re

    suggested = re.findall(r'"([^"]+)"', run("explain", "fixtures/llama", typed)[2])
    assert suggested
    for text in suggested:
        assert run("explain", "fixtures/llama", text)[0] == 0
        assert json.loads(run("tensors", "fixtures/llama", text, "--json")[1])["tensors"]


@pytest.mark.parametrize(
    ("model", "name", "scales"),
    [
        ("deepseek-v3", "model.layers.2.mlp.experts.3.up_proj.weight",
         ["model.layers.2.mlp.experts.3.up_proj.weight_scale_inv"]),
        ("qwen3-mlx-4bit", "lm_head.weight", ["lm_head.scales", "lm_head.biases"]),
        ("qwen3-mlx-4bit", "model.layers.1.mlp.up_proj.weight",
         ["model.layers.1.mlp.up_proj.scales", "model.layers.1.mlp.up_proj.biases"]),
        ("llama", "lm_head.weight", []),
    ],
)  # fmt: skip
def test_a_quantized_weight_names_its_scales(model: str, name: str, scales: list[str], run: Any) -> None:
    assert json.loads(run("explain", f"fixtures/{model}", name, "--json")[1])["tensor"]["scales"] == scales
    for scale in scales:
        assert json.loads(run("explain", f"fixtures/{model}", scale, "--json")[1])["tensor"]["scaled"] == [name]


def test_a_number_that_ends_a_word_is_one_too(saved: Callable[[str], Path], tmp_path: Path, run: Any) -> None:
    """NLLB's experts are `expert_0` and so on."""
    model, _ = fp8_experts(saved("nllb-moe"), tmp_path)
    module = "model.decoder.layers.1.ffn.experts.expert_2.fc1"
    found = json.loads(run("explain", model, f"{module}.weight", "--json")[1])["tensor"]
    assert found["scales"] == [f"{module}.weight_scale_inv"]
    found = json.loads(run("explain", model, f"{module}.weight_scale_inv", "--json")[1])["tensor"]
    assert found["scaled"] == [f"{module}.weight"]
    title = "model.decoder.layers.1.ffn.experts.expert_{1–2}.fc1.weight"
    found = json.loads(run("explain", model, title, "--json")[1])["tensor"]
    assert (found["name"], found["matches"]) == ("model.decoder.layers.1.ffn.experts.expert_1.fc1.weight", [title])


def test_a_config_alone_explains_too(run: Any) -> None:
    status, out, _ = run("explain", "fixtures/llama/config.json", "lm_head.weight")
    assert status == 0
    assert "Shape       [256, 24]   vocab_size × hidden_size" in out
    assert "Before      final_norm  model.norm.weight" in out


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
    seen, total = set(), 0.0
    for name, tensor in model.tensors.items():
        explanation = model.explain(name)
        assert explanation.shape == tensor.shape
        assert len(explanation.shape_terms) == len(tensor.shape)
        if tensor.kind != "buffer":
            assert len(explanation.terms) == len(tensor.roles), name
            assert explanation.equation
        seen.add(explanation.roles)
        total += explanation.share
    # Marian's files leave out two tables of 37 positions, which count all the same.
    absent = 2 * 37 * tiny.keys["d_model"] / model.parameters.total if tiny.model == "MTModel" else 0.0
    assert total + absent == pytest.approx(1, abs=1e-4)
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
