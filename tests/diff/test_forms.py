"""One model in two forms is the same: what ranks of a run wrote and its conversion, an original release and its kin."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing

BY_NAME = {tiny.name: tiny for tiny in TINY}
Saved = Callable[[str], Path]
RUNS = Path(__file__).parents[2] / "fixtures" / "runs"


@pytest.fixture(params=("zero-1", "zero-2", "zero-3", "fsdp"))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A run, and what its writer's own converter made of it."""
    folder = RUNS / request.param
    shutil.copy(RUNS / "expected" / f"{request.param}.safetensors", tmp_path / "model.safetensors")
    shutil.copy(folder / "config.json", tmp_path)
    return folder, tmp_path


def test_a_run_and_its_conversion(pair: tuple[Path, Path]) -> None:
    found = weightscope.diff(*pair, values=True)
    assert found.verdict.kind == "same-weights"
    assert (found.verdict.text.count("safetensors"), found.ok) == (1, True)
    run, converted = map(weightscope.open, pair)
    assert run.lock().root == converted.lock().root
    assert {row.name: row.figures for row in run.stats().tensors} == {
        row.name: row.figures for row in converted.stats().tensors
    }


NAMES = {
    "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
    "embed_tokens": "tok_embeddings", "lm_head": "output",
}  # fmt: skip


def test_a_release_of_meta_and_transformers_form_of_it(tmp_path: Path) -> None:
    """Names and the order of rows of q and k by the rules of convert_llama_weights_to_hf.py, undone."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        vocab_size=32, rms_norm_eps=1e-5, rope_theta=10000.0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "theirs")
    made = {}
    for theirs, weight in model.state_dict().items():
        name, tensor = theirs.removeprefix("model."), weight.clone()
        for word, other in NAMES.items():
            name = name.replace(word, other)
        heads = {"wq": 6, "wk": 2}.get(name.split(".")[-2], 0)
        made[name] = tensor.view(heads, 2, 2, 24).transpose(1, 2).reshape(tensor.shape) if heads else tensor
    original = tmp_path / "original"
    original.mkdir()
    torch.save(made, original / "consolidated.00.pth")
    settings = {"dim": 24, "n_layers": 2, "n_heads": 6, "n_kv_heads": 2, "vocab_size": 32, "multiple_of": 16,
                "ffn_dim_multiplier": 0.75, "norm_eps": 1e-5}  # fmt: skip
    (original / "params.json").write_text(json.dumps(settings))
    found = weightscope.diff(original, tmp_path / "theirs", values=True)
    assert found.verdict.kind == "same-weights", found.verdict
    made["layers.0.attention.wq.weight"] = made["layers.0.attention.wq.weight"].roll(1, 0)
    torch.save(made, original / "consolidated.00.pth")
    found = weightscope.diff(original, tmp_path / "theirs", values=True)
    assert [value.address for value in found.values or () if not value.equal] == ["layers.0.attention.q_proj"]


@pytest.mark.parametrize(
    "name",
    ["mixtral", "llava", "nomic_bert", "mllama", "kimi_k25", "step3p7"],
)
def test_what_is_published_and_what_transformers_holds_in_memory(name: str, saved: Saved, tmp_path: Path) -> None:
    """Other names, experts in stacks, matrices apart; in Kimi's and Step's towers another order of rows as well."""
    state = {key: value.clone() for key, value in BY_NAME[name].build().state_dict().items()}
    published = load_file(saved(name) / "model.safetensors")
    assert not published.keys() <= state.keys()
    save_file(state, tmp_path / "model.safetensors")
    shutil.copy(saved(name) / "config.json", tmp_path)
    found = weightscope.diff(saved(name), tmp_path, values=True)
    assert (found.verdict.kind, found.ok) == ("same-weights", True)
    # A digest is of the order of rows that is stored: docs/lock.md.
    alike = weightscope.open(saved(name)).lock().root == weightscope.open(tmp_path).lock().root
    assert alike is (name not in ("kimi_k25", "step3p7"))


def test_experts_of_images_in_one_list_and_stacked_apart(saved: Saved, tmp_path: Path) -> None:
    """ERNIE 4.5 VL as published, where experts of images have numbers after those of texts, and as in memory."""
    published, held = saved("ernie4_5_vl_moe"), tmp_path / "held"
    shutil.copytree(published, held)
    assert "model.language_model.layers.1.mlp.vision_moe.experts.down_proj" in seeing.as_held(held)
    count = json.loads((held / "config.json").read_text())["text_config"]["moe_num_experts"]
    found = {value.address for value in weightscope.diff(published, held, values=True).values or () if value.equal}
    roles = ("gate_proj", "up_proj", "down_proj")
    assert {f"layers.1.moe.{number}.{role}" for number in range(2 * count) for role in roles} <= found
