"""Each family's tiny model, damaged in every way: `check` names the damage wherever names, shapes or sizes show it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY, Tiny
from weightscope.findings import Finding
from weightscope.ranges import template_of

Tensors = dict[str, torch.Tensor]
HEADS = ("lm_head.weight", "embed_out.weight")

FAMILIES = [
    "llama", "llama-biases", "mistral", "qwen2-tied-window", "qwen3", "gpt2", "gpt_neox", "mixtral", "deepseek_v3",
    "gemma", "gemma2", "phi3", "llava",
]  # fmt: skip
tinies = pytest.mark.parametrize("tiny", [t for t in TINY if t.name in FAMILIES], ids=lambda tiny: tiny.name)

# Square matrices: transposing one changes neither name nor shape. Only the logits can tell (`forward`).
INVISIBLE_TRANSPOSES = {
    "llama": {"q_proj", "o_proj"},
    "llama-biases": {"q_proj", "o_proj"},
    "mistral": {"q_proj", "o_proj"},
    "qwen2-tied-window": {"q_proj", "o_proj"},
    "qwen3": set(),
    "gpt2": {"attn.c_proj"},
    "gpt_neox": {"dense"},
    "mixtral": {"q_proj", "o_proj"},
    "deepseek_v3": set(),
    "gemma": set(),
    "gemma2": set(),
    "phi3": {"o_proj"},
    "llava": {"q_proj", "k_proj", "v_proj", "out_proj", "o_proj", "linear_2"},
}


@cache
def original(directory: Path) -> Tensors:
    tensors: Tensors = load_file(directory / "model.safetensors")
    return tensors


class Damaged:
    """A copy of a saved model in two shards, which a test may damage before it is checked."""

    def __init__(self, source: Path, target: Path) -> None:
        self.path = target
        self.config: dict[str, Any] = json.loads((source / "config.json").read_text())
        tensors = original(source)
        names = sorted(tensors)
        half = len(names) // 2
        self.shards: dict[str, Tensors] = {
            "model-00001-of-00002.safetensors": {name: tensors[name] for name in names[:half]},
            "model-00002-of-00002.safetensors": {name: tensors[name] for name in names[half:]},
        }
        self.weight_map = {name: shard for shard, part in self.shards.items() for name in part}
        self.metadata = {"total_size": sum(t.numel() * t.element_size() for t in tensors.values())}

    def shard_of(self, name: str) -> Tensors:
        return self.shards[self.weight_map[name]]

    def findings(self) -> tuple[Finding, ...]:
        (self.path / "config.json").write_text(json.dumps(self.config))
        for shard, tensors in self.shards.items():
            save_file({n: t.contiguous().clone() for n, t in tensors.items()}, self.path / shard)
        index = {"metadata": self.metadata, "weight_map": self.weight_map}
        (self.path / "model.safetensors.index.json").write_text(json.dumps(index))
        return weightscope.open(self.path, tolerant=True).check()

    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings() if finding.severity != "info"}


@pytest.fixture
def damaged(saved: Callable[[str], Path], tmp_path: Path) -> Callable[[Tiny], Damaged]:
    def copy(tiny: Tiny) -> Damaged:
        return Damaged(saved(tiny.name), tmp_path)

    return copy


def one_of_each(model: Damaged) -> list[str]:
    """One tensor of each kind: the same name in another layer or expert is damaged alike."""
    firsts: dict[str, str] = {}
    for name in model.weight_map:
        firsts.setdefault(template_of(name)[0], name)
    return sorted(firsts.values())


@tinies
def test_undamaged(tiny: Tiny, damaged: Any) -> None:
    assert damaged(tiny).codes() == set()


@tinies
def test_drop(tiny: Tiny, damaged: Any) -> None:
    for name in one_of_each(damaged(tiny)):
        model = damaged(tiny)
        del model.shard_of(name)[name]
        expected = "tie-mismatch" if name.endswith(HEADS) else "missing-tensor"
        assert model.codes() >= {expected, "index-mismatch"}, name


@tinies
def test_rename(tiny: Tiny, damaged: Any) -> None:
    for name in one_of_each(damaged(tiny)):
        model = damaged(tiny)
        shard = model.weight_map.pop(name)
        model.shards[shard][f"{name}_renamed"] = model.shards[shard].pop(name)
        model.weight_map[f"{name}_renamed"] = shard
        expected = "tie-mismatch" if name.endswith(HEADS) else "missing-tensor"
        assert model.codes() == {expected, "unexpected-tensor"}, name


@tinies
def test_transpose(tiny: Tiny, damaged: Any) -> None:
    unseen = set()
    for name in one_of_each(damaged(tiny)):
        model = damaged(tiny)
        shard = model.shard_of(name)
        if shard[name].dim() < 2:
            continue
        shard[name] = shard[name].transpose(0, 1)
        codes = model.codes()
        if codes:
            assert codes == {"shape-mismatch"}, name
        else:
            unseen.add(name)
    kinds = INVISIBLE_TRANSPOSES[tiny.name]
    assert {kind for kind in kinds for name in unseen if f".{kind}." in f".{name}"} == kinds
    assert all(any(f".{kind}." in f".{name}" for kind in kinds) for name in unseen), unseen


@tinies
def test_resize(tiny: Tiny, damaged: Any) -> None:
    for name in one_of_each(damaged(tiny)):
        model = damaged(tiny)
        shard = model.shard_of(name)
        shard[name] = torch.cat((shard[name], shard[name][:1]))
        assert "shape-mismatch" in model.codes(), name


@tinies
def test_retype(tiny: Tiny, damaged: Any) -> None:
    for name in one_of_each(damaged(tiny)):
        model = damaged(tiny)
        shard = model.shard_of(name)
        shard[name] = shard[name].half()
        # A buffer's type is its own affair; its size still is not what the index says.
        expected = "size-mismatch" if "e_score_correction_bias" in name else "dtype-mismatch"
        assert expected in model.codes(), name


@tinies
def test_duplicate(tiny: Tiny, damaged: Any) -> None:
    for name in one_of_each(damaged(tiny)):
        model = damaged(tiny)
        other = next(shard for shard in model.shards if shard != model.weight_map[name])
        model.shards[other][name] = model.shard_of(name)[name]
        assert "duplicate-tensor" in model.codes(), name


@tinies
def test_move_to_another_shard(tiny: Tiny, damaged: Any) -> None:
    for name in one_of_each(damaged(tiny)):
        model = damaged(tiny)
        other = next(shard for shard in model.shards if shard != model.weight_map[name])
        model.shards[other][name] = model.shard_of(name).pop(name)
        assert model.codes() == {"index-mismatch"}, name


@tinies
def test_truncate(tiny: Tiny, damaged: Any) -> None:
    model = damaged(tiny)
    model.findings()
    for shard in model.shards:
        model.findings()
        path = model.path / shard
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
        findings = weightscope.open(model.path, tolerant=True).check()
        assert {f.code for f in findings if f.severity != "info"} == {"truncated-file"}


@tinies
def test_lose_a_shard(tiny: Tiny, damaged: Any) -> None:
    model = damaged(tiny)
    model.findings()
    (model.path / "model-00002-of-00002.safetensors").unlink()
    findings = weightscope.open(model.path, tolerant=True).check()
    assert {f.code for f in findings if f.severity != "info"} == {"missing-shard"}


@tinies
def test_leave_a_shard_of_another_save(tiny: Tiny, damaged: Any) -> None:
    model = damaged(tiny)
    model.findings()
    save_file({"x": torch.ones(1)}, model.path / "model-00003-of-00003.safetensors")
    findings = weightscope.open(model.path, tolerant=True).check()
    assert {f.code for f in findings if f.severity != "info"} == {"unexpected-shard"}


@pytest.mark.parametrize(
    "name", ["llama-tied", "qwen2-tied-window", "gemma", "gpt2", "gpt_neox-tied", "phi3-tied-window"]
)
def test_untie(name: str, damaged: Any) -> None:
    """The config no longer ties: the head is missing. A head of other values is stored: seen by its values alone."""
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    model = damaged(tiny)
    model.config["tie_word_embeddings"] = False
    assert model.codes() == {"tie-mismatch"}
    model = damaged(tiny)
    head = "embed_out.weight" if "neox" in name else "lm_head.weight"
    embedding = next(
        n for n in model.weight_map if n.endswith(("embed_tokens.weight", "wte.weight", "embed_in.weight"))
    )
    shard = model.weight_map[embedding]
    model.shards[shard][head] = model.shards[shard][embedding] + 1
    model.weight_map[head] = shard
    del model.metadata["total_size"]
    assert [(f.code, f.severity) for f in model.findings() if f.code == "tie-mismatch"] == [("tie-mismatch", "info")]
    checked = weightscope.open(model.path).check(values=True)
    assert ("tie-mismatch", "error") in [(f.code, f.severity) for f in checked]


@pytest.mark.parametrize("name", ["llama", "qwen3", "mixtral", "deepseek_v3", "gpt_neox", "phi3", "llava"])
def test_retie(name: str, damaged: Any) -> None:
    """The config now ties: a stored head of other values, which only values can tell from one that is stored twice."""
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    model = damaged(tiny)
    (model.config["text_config"] if name == "llava" else model.config)["tie_word_embeddings"] = True
    # LLaVA's config ties at one level and not at the other, which is a second note.
    assert {f.severity for f in model.findings() if f.code == "tie-mismatch"} == {"info"}
    checked = weightscope.open(model.path).check(values=True)
    assert ("tie-mismatch", "error") in [(f.code, f.severity) for f in checked]


# Whole numbers in a config that set no tensor's name or shape: a change of one is visible in the logits at most.
SILENT_KEYS = {
    "bos_token_id", "eos_token_id", "pad_token_id", "max_position_embeddings", "pretraining_tp", "sliding_window",
    "max_window_layers", "num_experts_per_tok", "n_group", "topk_group", "qk_head_dim", "image_token_index",
    "image_seq_length", "query_pre_attn_scalar", "original_max_position_embeddings", "vision_feature_layer",
    "projection_dim", "num_nextn_predict_layers", "router_aux_loss_coef", "summary_first_dropout",
}  # fmt: skip
# Keys that only some families read: elsewhere nothing depends on them.
SILENT_IN = {
    "deepseek_v3": {"num_key_value_heads", "head_dim"},
    # The fused matrix is as wide whatever the number of heads; 24 divides by 2, 3 and 4.
    "gpt2": {"n_head"},
    "gpt_neox": {"num_key_value_heads"},
}
# Steps that no size shows: 29 pixels hold as many patches of 7 as 28 do, and 20 divides by 5 heads as by 4.
SILENT_STEPS = {("vision_config.image_size", 1), ("vision_config.num_attention_heads", 1)}


def number_keys(config: dict[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in config.items():
        if isinstance(value, dict) and key.endswith("_config"):
            keys += number_keys(value, f"{prefix}{key}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            keys.append(prefix + key)
    return keys


@tinies
def test_change_each_number_of_the_config(tiny: Tiny, damaged: Any) -> None:
    silent = SILENT_KEYS | SILENT_IN.get(tiny.name, set())
    tried = 0
    for key in number_keys(damaged(tiny).config):
        *outer, last = key.split(".")
        for step in (1, -1):
            model = damaged(tiny)
            part = model.config
            for name in outer:
                part = part[name]
            part[last] += step
            try:
                codes = model.codes()
            except weightscope.WeightscopeError as error:
                codes = {error.code or ""}
            if last in silent or (key, step) in SILENT_STEPS:
                assert not codes & {"missing-tensor", "unexpected-tensor", "shape-mismatch"}, key
            else:
                tried += 1
                assert codes & {"missing-tensor", "unexpected-tensor", "shape-mismatch", "config-invalid"}, (key, step)
    assert tried >= 8


@pytest.mark.parametrize(
    ("name", "key", "value", "roles", "truth"),
    [
        ("llama-mqa-head_dim", "num_key_value_heads", 2, "k_proj and v_proj", 1),
        ("llama", "intermediate_size", 64, "gate_proj and up_proj and down_proj", 52),
        ("llama", "vocab_size", 99, "token_embedding and lm_head", 101),
        ("qwen3", "head_dim", 12, "q_proj and k_proj and v_proj and o_proj and q_norm and k_norm", 10),
        ("mixtral", "num_key_value_heads", 3, "k_proj and v_proj", 2),
        ("gpt2", "n_positions", 40, "position_embedding", 37),
        ("deepseek_v3", "kv_lora_rank", 16, "kv_a_proj and kv_b_proj and kv_a_norm", 13),
    ],
)
def test_the_likely_truth(name: str, key: str, value: int, roles: str, truth: int, damaged: Any) -> None:
    model = damaged(next(tiny for tiny in TINY if tiny.name == name))
    model.config[key] = value
    findings = [finding for finding in model.findings() if finding.code == "shape-mismatch"]
    assert {f.hint for f in findings} == {f"every {roles} fits {key} = {truth}; config.json says {value}"}


def test_two_wrong_keys_are_said_together_and_three_are_not_guessed(damaged: Any) -> None:
    model = damaged(next(tiny for tiny in TINY if tiny.name == "llama"))
    model.config |= {"intermediate_size": 64, "vocab_size": 99}
    (hint,) = {finding.hint for finding in model.findings() if finding.code == "shape-mismatch"}
    assert "fits vocab_size = 101 and intermediate_size = 52; config.json says 99, 64" in hint
    model.config |= {"hidden_size": 48}
    (hint,) = {finding.hint for finding in model.findings() if finding.code == "shape-mismatch"}
    assert hint == "config.json and weights describe different models"
