"""The page of `report`: one file, nothing but what it says in it, and the figures of the other commands."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch

import weightscope
from tests.report.pages import HOSTILE, ROOT, Page, run_report, told, write_hostile

MODELS = ["llama", "deepseek-v3", "llava", "gpt2", "mini", "gguf/llama.gguf", "llama/config.json", "qwen3-mlx-4bit"]


@pytest.fixture(scope="module", params=MODELS)
def named_page(request: pytest.FixtureRequest) -> tuple[str, Page]:
    result = run_report(f"fixtures/{request.param}")
    assert result.returncode == 0, result.stderr
    return request.param, Page(result.stdout)


def test_nothing_is_loaded_and_nothing_is_inline_but_what_the_policy_names(named_page: tuple[str, Page]) -> None:
    page = named_page[1]
    for _, attributes in page.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset", "action")
        ]
        assert attributes.get("href", "#").startswith("#")
    assert not {"link", "iframe", "object", "embed", "form", "base", "img"} & {tag for tag, _ in page.tags}


def test_the_policy_has_the_hash_of_each_script_and_style(named_page: tuple[str, Page]) -> None:
    page = named_page[1]
    directives = dict(part.split(" ", 1) for part in page.policy.split("; "))
    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == "'none'"
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        texts = [text for kind, attributes, text in page.inlined if kind == tag and "id" not in attributes]
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert directives[name].split() == [f"'sha256-{each}'" for each in hashes]
        assert texts


def test_the_figures_are_those_of_the_documents(named_page: tuple[str, Page]) -> None:
    name, page = named_page
    inspected = told("inspect", f"fixtures/{name}")
    total = inspected["parameters"]["total"]
    assert (f"{total:,}" if total is not None else "unknown") in page.text
    drawn: dict[str, int] = {}
    for each in page.data["sets"]:
        kind = page.data["kinds"][each["kind"]]
        for role, count in zip(kind["roles"], each["parameters"] or (), strict=False):
            drawn[f"{kind['component']} {role}"] = drawn.get(f"{kind['component']} {role}", 0) + count
    drawn = {role: count for role, count in drawn.items() if not role.startswith("buffers ")}
    assert drawn == {
        f"{component['component']} {role['role']}": role["parameters"] or 0
        for component in inspected["components"]
        for role in component["roles"]
    }


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    folder = write_hostile(tmp_path / "<b>model")
    result = run_report(str(folder))
    assert result.returncode == 0, result.stderr
    page, plain = Page(result.stdout), Page(run_report("fixtures/mini").stdout)
    scripts = [[tag for tag, _ in each.tags].count("script") for each in (page, plain)]
    assert scripts[0] == scripts[1]
    assert not {"img", "b"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    templates = [name.replace("{", "{{").replace("}", "}}") for name in HOSTILE]
    assert {kind["template"] for kind in page.data["kinds"]} == set(templates)
    assert HOSTILE[1] in page.text
    assert not set("\u2028\u2029\u202e\u2066\x00\x1b") & set(result.stdout)


def test_a_terminal_gets_no_page() -> None:
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "weightscope", "report", "fixtures/llama"]
    run = subprocess.run(command, stdout=child, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    os.close(child)
    os.close(parent)
    assert run.returncode == 2
    assert "-o FILE" in run.stderr


def test_the_file_is_what_a_pipe_gets(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert run_report("fixtures/llama", "-o", str(file)).stdout == ""
    assert file.read_text(encoding="utf-8") == run_report("fixtures/llama").stdout


def test_a_file_of_the_model_is_not_written_over(tmp_path: Path) -> None:
    copied = tmp_path / "config.json"
    copied.write_bytes((ROOT / "fixtures" / "llama" / "config.json").read_bytes())
    result = run_report(str(copied), "-o", str(copied))
    assert result.returncode == 2
    assert "not overwritten" in result.stderr


def test_a_broken_model_has_a_page_that_says_so(tmp_path: Path) -> None:
    for file in (ROOT / "fixtures" / "llama").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model-00002-of-00004.safetensors").unlink()
    file = tmp_path / "page.html"
    result = run_report(str(tmp_path), "-o", str(file))
    assert result.returncode == 2
    page = Page(file.read_text(encoding="utf-8"))
    assert "missing-shard" in page.text
    assert ("strong", {"class": "verdict failed"}) in page.tags


def test_wrong_shapes_have_a_page_that_says_so(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures" / "llama", tmp_path / "llama")
    config = json.loads((tmp_path / "llama" / "config.json").read_text())
    (tmp_path / "llama" / "config.json").write_text(json.dumps(config | {"num_key_value_heads": 3}))
    result = run_report(str(tmp_path / "llama"))
    assert (result.returncode, result.stderr) == (0, "")
    assert "every k_proj and v_proj fits num_key_value_heads = 2; config.json says 3" in Page(result.stdout).text


def test_what_predicts_ahead_is_told_apart_from_the_total() -> None:
    counted = told("inspect", "fixtures/deepseek-v3")["parameters"]
    page = Page(run_report("fixtures/deepseek-v3").stdout)
    assert counted["auxiliary"] == page.data["auxiliary"] > 0
    assert "leaves out 23.6 K of mtp (layers that predict ahead)" in page.text


def test_a_gguf_kind_has_the_name_of_the_architecture_too() -> None:
    """Names as transformers' Llama has them."""
    kinds = {
        kind["template"]: kind["others"] for kind in Page(run_report("fixtures/gguf/llama.gguf").stdout).data["kinds"]
    }
    assert kinds["token_embd.weight"] == ["model.embed_tokens.weight"]
    assert kinds["blk.{}.attn_q.weight"] == ["model.layers.{}.self_attn.q_proj.weight"]
    assert kinds["blk.{}.ffn_down.weight"] == ["model.layers.{}.mlp.down_proj.weight"]


def test_layers_of_several_kinds_give_another_name_once() -> None:
    """ModernBERT's layers with and without a window have the same names."""
    page = Page(run_report("fixtures/gguf/modern-bert.gguf").stdout)
    kinds = {kind["template"]: kind["others"] for kind in page.data["kinds"]}
    assert kinds["blk.{}.attn_qkv.weight"] == ["model.layers.{}.attn.Wqkv.weight"]


def test_a_renamed_kind_has_the_name_that_is_stored_too(tmp_path: Path) -> None:
    """As torch.compile leaves names: all of a kind, or the name is not told."""
    tensors = {
        name: tensor
        for file in (ROOT / "fixtures" / "llama").glob("*.safetensors")
        for name, tensor in load_torch(file).items()
    }
    shutil.copy(ROOT / "fixtures" / "llama" / "config.json", tmp_path)
    save_torch({f"_orig_mod.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    others = {kind["template"]: kind["others"] for kind in Page(run_report(str(tmp_path)).stdout).data["kinds"]}
    assert others["lm_head.weight"] == ["_orig_mod.lm_head.weight"]
    assert others["model.layers.{}.mlp.up_proj.weight"] == ["_orig_mod.model.layers.{}.mlp.up_proj.weight"]


def test_what_a_box_opens_is_in_config_terms() -> None:
    page = Page(run_report("fixtures/llama").stdout)
    for said in ("[num_attention_heads·head_dim, hidden_size]", "o_proj·softmax(q·kᵀ/√4)·v", "3 layers"):
        assert said in page.text
    model = weightscope.open(ROOT / "fixtures" / "llama")
    assert model.explain("q_proj").shape_terms == ("num_attention_heads·head_dim", "hidden_size")


def test_the_drawing_says_which_part_findings_are_about(tmp_path: Path) -> None:
    tensors = load_file(ROOT / "fixtures" / "llava" / "model.safetensors")
    name = "language_model.model.layers.2.mlp.up_proj.weight"
    del tensors[name]
    (tmp_path / "config.json").write_bytes((ROOT / "fixtures" / "llava" / "config.json").read_bytes())
    save_file(tensors, tmp_path / "model.safetensors")
    page = Page(run_report(str(tmp_path)).stdout)
    box = page.text[page.text.index("language_model.model.layers.{0–2}.mlp") :]
    assert box.index("missing-tensor") < box.index("final_norm")
    assert page.text.count("error: missing-tensor") == 1
