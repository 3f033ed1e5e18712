"""Settings and weights of adapters that nobody should trust: one line each, soon, and no traceback."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.adapters.peft_files import PEFT, base_of, changed

HUGE = 10**400
SETTINGS: dict[str, dict[str, Any]] = {
    "a rank beyond all sizes": {"r": HUGE},
    "a rank that is true": {"r": True},
    "alpha that is no number": {"lora_alpha": float("nan")},
    "alpha of 400 digits": {"lora_alpha": HUGE},
    "targets that are numbers": {"target_modules": [1, 2]},
    "targets of 2,000 characters": {"target_modules": "a" * 2000},
    "a target that is no pattern": {"target_modules": "("},
    "a pattern that is none": {"rank_pattern": {"[": 4}},
    "ranks that are texts": {"rank_pattern": {"q_proj": "4"}},
    "a list in the place of an object": {"alpha_pattern": [1]},
    "a method that is a number": {"peft_type": 7},
    "tokens that are texts": {"trainable_token_indices": ["a"]},
    "layers below 0": {"layers_to_transform": [-1]},
    "a bias that is an object": {"bias": {}},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_of_the_wrong_kind(settings: dict[str, Any], tmp_path: Path, run: Any) -> None:
    adapter = changed("lora", tmp_path, **settings)
    code, out, error = run("inspect", adapter)
    assert (code, out) == (2, "")
    assert error.count("\n") == 1
    assert "adapter_config.json" in error
    code, out, _ = run("check", adapter, "--base", base_of("lora"), "--json")
    assert code == 1
    assert "config-invalid" in {finding["code"] for finding in json.loads(out)["findings"]}


SLOW = ("(a+)+$", "(.*)*x", ".*.*.*.*.*.*.*.*x", "(a|a|a|a|a|a|a|a|a|a|a)(a|a)x", "(?:x+x+)+y")


@pytest.mark.parametrize("pattern", SLOW)
@pytest.mark.parametrize("key", ["target_modules", "exclude_modules", "rank_pattern"])
def test_patterns_that_would_take_forever_are_not_tried(pattern: str, key: str, tmp_path: Path, run: Any) -> None:
    value = {pattern: 4} if key == "rank_pattern" else pattern
    name = f"base_model.model.model.layers.0.self_attn.{'a' * 200}.lora_A.weight"
    adapter = changed("lora", tmp_path, lambda tensors: tensors | {name: torch.zeros(4, 24)}, **{key: value})
    start = time.perf_counter()
    run("check", adapter, "--base", base_of("lora"))
    assert time.perf_counter() - start < 10


def test_no_path_that_the_settings_name_is_opened(tmp_path: Path, run: Any) -> None:
    """A base is found in the cache or given; a path from the file could be a pipe that never ends."""
    for base in (str(tmp_path), "/dev/zero", "../../..", "hf://org/name", "http://127.0.0.1:9/x", "org/name"):
        adapter = changed("lora", tmp_path / base.replace("/", "_"), base_model_name_or_path=base)
        code, out, _ = run("inspect", adapter, "--json")
        assert (code, json.loads(out)["adapter"]["held_against"]) == (0, None)


def test_shapes_without_sense(tmp_path: Path, run: Any) -> None:
    start = "base_model.model.model.layers.0.self_attn"
    tensors = {
        f"{start}.q_proj.lora_A.weight": torch.zeros(0, 24), f"{start}.q_proj.lora_B.weight": torch.zeros(24),
        f"{start}.v_proj.lora_A.weight": torch.zeros(()), f"{start}.v_proj.lora_B.weight": torch.zeros([1] * 6),
        f"{start}.k_proj.ia3_l": torch.zeros(0), f"{start}.k_proj.hada_w1_a": torch.zeros(3),
        f"{start}.o_proj.lokr_w1": torch.zeros(3, 0), f"{start}.o_proj.lokr_w2": torch.zeros(0, 3),
        "base_model.model.model.embed_tokens.trainable_tokens_delta": torch.zeros(2),
        "prompt_embeddings": torch.zeros(()),
        "lora_A": torch.zeros(1, 1), ".lora_B.weight": torch.zeros(1, 1), "base_layer": torch.zeros(1),
    }  # fmt: skip
    for number in range(len(tensors)):
        folder = tmp_path / str(number)
        folder.mkdir()
        names = [*tensors][number:] + [*tensors][: number // 2]
        save_file({name: tensors[name] for name in names}, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text((PEFT / "lora" / "adapter_config.json").read_text())
        for command in (("inspect",), ("check", "--base", base_of("lora")), ("tensors",), ("params", "--by", "role")):
            code, _, error = run(command[0], folder, *command[1:])
            assert code in (0, 1), error
        code, _, error = run("forward", base_of("lora"), "--tokens", "1", "--adapter", folder)
        assert (code, error.count("\n")) == (2, 1)
