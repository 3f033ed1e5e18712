"""A pass with adapters computes what PEFT does: logits from fixtures/adapters/expected.safetensors, PEFT's own."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope as ws
from tests.adapters.peft_files import EXPECTED, FOLDER, NAMES, PEFT, Tensors, base_of, changed
from weightscope.errors import WeightscopeError

TOKENS: list[int] = EXPECTED["tokens"]
LOGITS = load_file(FOLDER / "expected.safetensors")
UNMERGED = sorted(name.removesuffix(".logits") for name in LOGITS if name.endswith(".logits"))
MERGED = sorted(name.removesuffix(".merged") for name in LOGITS if name.endswith(".merged"))
# Differences are shares of the root mean square.
CLOSE = 1e-4


def difference(result: Any, expected: torch.Tensor) -> float:
    """The largest difference of logits, as a share of the rms of those expected."""
    return float((result.logits - expected).abs().max() / expected.square().mean().sqrt())


@pytest.mark.parametrize("name", [name for name in UNMERGED if name != "together"])
def test_against_peft_with_the_adapter_beside_the_weights(name: str) -> None:
    base = base_of(name)
    result = ws.open(base).forward(TOKENS, adapter=PEFT / name)
    assert difference(result, LOGITS[f"{name}.logits"]) < CLOSE
    # What the adapter does is not small.
    assert difference(result, LOGITS[base.name]) > 100 * CLOSE


@pytest.mark.parametrize("name", MERGED)
def test_against_peft_with_the_adapter_merged(name: str) -> None:
    result = ws.open(base_of(name)).forward(TOKENS, adapter=str(PEFT / name))
    assert difference(result, LOGITS[f"{name}.merged"]) < CLOSE


def test_against_peft_with_two_adapters() -> None:
    result = ws.open(base_of("lora")).forward(TOKENS, adapter=[PEFT / "lora", PEFT / "patterns"])
    assert difference(result, LOGITS["together.logits"]) < CLOSE
    turned = ws.open(base_of("lora")).forward(TOKENS, adapter=[PEFT / "patterns", PEFT / "lora"])
    assert difference(turned, LOGITS["together.logits"]) < CLOSE


@pytest.mark.parametrize("name", ["embedding", "tied-embedding", "tied-head", "dora"])
def test_weights_that_are_held_are_the_changed_ones(name: str) -> None:
    model = ws.open(base_of(name))
    plain = model.forward(TOKENS, hold=True)
    for _ in range(2):
        result = model.forward(TOKENS, hold=True, adapter=PEFT / name)
        assert difference(result, LOGITS[f"{name}.logits"]) < CLOSE
    assert difference(plain, LOGITS[base_of(name).name]) < CLOSE


def disturbed(name: str, tensors: Tensors) -> Tensors:
    """One tensor with other values."""
    return tensors | {name: tensors[name] * 1.5 + 0.1}


@pytest.mark.parametrize(
    "name",
    [
        "lora",
        "dora",
        "embedding",
        "embedding-dora",
        "tokens",
        "saved",
        "lokr",
        "ia3",
        "gpt2",
        "adalora",
        "vera",
        "oft",
        "boft-factors",
    ],
)
def test_every_tensor_of_an_adapter_matters(name: str, tmp_path: Path) -> None:
    base = ws.open(base_of(name))
    usual = base.forward(TOKENS, adapter=PEFT / name)
    for number, tensor in enumerate(load_file(PEFT / name / "adapter_model.safetensors")):
        copy = changed(name, tmp_path / str(number), partial(disturbed, tensor))
        assert difference(base.forward(TOKENS, adapter=copy), usual.logits) > 10 * CLOSE, tensor


def test_the_command_applies_adapters(tmp_path: Path, run: Any) -> None:
    tokens = ",".join(map(str, TOKENS))
    file = tmp_path / "logits.npy"
    adapters = ("--adapter", PEFT / "lora", "--adapter", PEFT / "patterns")
    code, out, _ = run("forward", base_of("lora"), "--tokens", tokens, *adapters, "--save-logits", file, "--json")
    assert code == 0
    assert json.loads(out)["adapters"] == [str(PEFT / "lora"), str(PEFT / "patterns")]
    expected = LOGITS["together.logits"].numpy()
    assert np.abs(np.load(file) - expected).max() < CLOSE * np.sqrt((expected**2).mean())


def test_a_merged_model_in_the_same_directory_is_not_taken_for_the_adapter(tmp_path: Path) -> None:
    folder = shutil.copytree(base_of("lora"), tmp_path / "both")
    for file in (PEFT / "lora").iterdir():
        shutil.copy(file, folder)
    result = ws.open(folder).forward(TOKENS, adapter=folder)
    assert difference(result, LOGITS["lora.logits"]) < CLOSE


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_in_other_types(dtype: str) -> None:
    result = ws.open(base_of("dora")).forward(TOKENS, adapter=PEFT / "dora", compute_dtype=dtype)
    assert difference(result, LOGITS["dora.logits"]) < (0.1 if dtype == "bfloat16" else CLOSE)


REFUSED = {
    "prompts": ("prompt", {}, "is counted, not computed"),
    "VeRA without its matrices": ("vera-unsaved", {}, "the random matrices of VeRA are not stored"),
    "OFT of old versions": ("oft", {"use_cayley_neumann": None}, "nothing tells how the rotations of OFT are made"),
    "OFT of too many terms": ("oft", {"num_cayley_neumann_terms": 10**6}, "the limit is 100"),
    "OFT with several shared rotations": ("oft", {"block_share": True}, "has 10 rotations, but the settings say"),
    "a method that is not read": ("hra", {}, "hra is counted, not computed"),
    "PiSSA": ("lora", {"init_lora_weights": "pissa_niter_4"}, "changes the base's weights too"),
    "activated LoRA": ("lora", {"alora_invocation_tokens": [1, 2]}, "activated LoRA is not implemented"),
    "no alpha": ("lora", {"lora_alpha": None}, "nothing tells the scale"),
    "another rank": ("lora", {"r": 8}, "rank 4, but the settings say 8"),
    "fewer targets": ("lora", {"target_modules": ["q_proj"]}, "not among target_modules"),
}


@pytest.mark.parametrize(("name", "settings", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_computed_is_refused_by_name(
    name: str, settings: dict[str, Any], says: str, tmp_path: Path
) -> None:
    adapter = changed(name, tmp_path, **settings)
    with pytest.raises(WeightscopeError, match=says):
        ws.open(base_of(name)).forward(TOKENS, adapter=adapter)


def test_a_bias_where_the_base_has_none_is_refused(tmp_path: Path) -> None:
    config = json.loads((base_of("lora-bias") / "config.json").read_text())
    weights = load_file(base_of("lora-bias") / "model.safetensors")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text(json.dumps(config | {"attention_bias": False}))
    save_file(
        {name: value for name, value in weights.items() if not name.endswith(".bias")}, bare / "model.safetensors"
    )
    assert not ws.open(PEFT / "lora-bias", base=bare).check()
    with pytest.raises(WeightscopeError, match=r"has no model.layers.0.self_attn.q_proj.bias that it could change"):
        ws.open(bare).forward(TOKENS, adapter=PEFT / "lora-bias")


@pytest.mark.parametrize(("first", "second"), [("dora", "lora"), ("embedding", "tokens"), ("saved", "embedding")])
def test_adapters_whose_order_matters_are_refused(first: str, second: str) -> None:
    with pytest.raises(WeightscopeError, match="several adapters change"):
        ws.open(base_of(first)).forward(TOKENS, adapter=[PEFT / first, PEFT / second])


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (base_of("lora"), ["--adapter", base_of("lora")], "this is no adapter"),
        (base_of("lora"), ["--adapter", "nothing/here/at/all"], "no such file or directory"),
        (base_of("gpt2"), ["--adapter", PEFT / "lora"], "an adapter for another base"),
        (base_of("lora"), ["--adapter", PEFT / "lora", "--compare", "transformers"], "mutually exclusive"),
        (PEFT / "lora", [], "an adapter alone computes nothing"),
    ],
)
def test_what_the_command_refuses(model: Path, options: list[Any], says: str, run: Any) -> None:
    code, _, error = run("forward", model, "--tokens", "1,2", *options)
    assert code == 2
    assert says in error


def test_over_a_quantized_base(tmp_path: Path) -> None:
    """Dequantized and stored plain, the base computes the same with the adapter: QLoRA."""
    quantized = FOLDER.parent / "qwen3-mlx-4bit"
    model = ws.open(quantized)
    plain = tmp_path / "plain"
    plain.mkdir()
    config = json.loads((quantized / "config.json").read_text())
    kept = {key: value for key, value in config.items() if not key.startswith("quantization")}
    (plain / "config.json").write_text(json.dumps(kept))
    weights = {
        name: torch.from_numpy(np.array(tensor.numpy(dequantize=True), dtype=np.float32))
        for name, tensor in model.tensors.items() if not name.endswith((".scales", ".biases"))
    }  # fmt: skip
    save_file(weights, plain / "model.safetensors")
    torch.manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        if name.endswith(("q_proj.weight", "down_proj.weight")):
            start = f"base_model.model.{name.removesuffix('.weight')}"
            tensors[f"{start}.lora_A.weight"] = torch.randn(4, weight.shape[1]) * 0.3
            tensors[f"{start}.lora_B.weight"] = torch.randn(weight.shape[0], 4) * 0.3
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    save_file(tensors, adapter / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    assert not ws.open(adapter, base=quantized).check()
    expected = ws.open(plain).forward([1, 2, 3], adapter=adapter)
    assert difference(model.forward([1, 2, 3], adapter=adapter), expected.logits) < CLOSE
    assert difference(model.forward([1, 2, 3]), expected.logits) > 100 * CLOSE


def test_over_a_gguf() -> None:
    """llama.cpp stores the rows of queries and keys in another order; the adapter has transformers'."""
    base, adapter = FOLDER.parent / "gguf" / "llama.gguf", FOLDER / "gguf"
    expected = load_file(adapter / "expected.safetensors")["logits"]
    assert not ws.open(adapter / "adapter_model.safetensors", base=base).check()
    assert difference(ws.open(base).forward(TOKENS, adapter=adapter), expected) < CLOSE


def test_nothing_of_peft_is_left_out() -> None:
    assert {*UNMERGED} - {"together"} == {*NAMES} - {"prompt", "prefix", "p-tuning", "vera-unsaved", "hra"}


def test_infinity_in_an_adapter_is_found_there(tmp_path: Path, run: Any) -> None:
    name = "base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight"
    adapter = changed("lora", tmp_path, lambda tensors: tensors | {name: tensors[name] * float("inf")})
    code, out, _ = run("forward", base_of("lora"), "--tokens", "1,2", "--adapter", adapter, "--json")
    (finding,) = json.loads(out)["findings"]
    assert (code, finding["code"], finding["tensors"]) == (1, "non-finite", [name])
