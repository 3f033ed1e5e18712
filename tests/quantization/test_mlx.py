"""MLX's packing against what MLX itself dequantizes (fixtures/make.py mlx), and modules with settings of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

import weightscope
from weightscope.config import Config
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Stored

FIXTURE = Path(__file__).parents[2] / "fixtures" / "qwen3-mlx-4bit"
EXPECTED = load_file(FIXTURE / "expected" / "dequantized.safetensors")
TOKENS = [3, 17, 1, 90, 42]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_dequantized_values(name: str) -> None:
    model = weightscope.open(FIXTURE)
    assert model.declaration is not None
    scheme = model.declaration.schemes.of(name)
    assert scheme is not None
    read = scheme.read(name, lambda part: model.tensors[part].torch())
    torch.testing.assert_close(read, EXPECTED[name], rtol=1e-6, atol=1e-6)


def test_counts_what_the_packed_words_stand_for() -> None:
    """By hand: two tables of 256 × 64; two layers of q, o 192 × 64, k, v 64 × 64, three of 96 × 64; norms."""
    layer = 2 * 192 * 64 + 2 * 64 * 64 + 3 * 96 * 64
    norms = 64 + 2 * (2 * 64 + 2 * 32)
    model = weightscope.open(FIXTURE)
    assert model.parameters.total == 2 * 256 * 64 + 2 * layer + norms
    assert model.parameters.stored_elements == sum(t.numel() for t in load_file(FIXTURE / "model.safetensors").values())


# What a converter with a recipe writes: two modules with settings of their own, one named as plain.
NAMED = {
    "model.layers.0.mlp.down_proj": {"group_size": 16, "bits": 8},
    "model.embed_tokens": {"bits": 2},
    "model.layers.1.self_attn.q_proj": False,
    "model.layers.1.self_attn.k_proj": True,
}
# And what none says.
UNSAID = ("model.layers.2.mlp.gate_proj", "lm_head")


def settings_of(module: str) -> tuple[int, int] | None:
    """Bits and group size of a module, by hand."""
    own = {"model.layers.0.mlp.down_proj": (8, 16), "model.embed_tokens": (2, 32)}
    return None if module in (*UNSAID, "model.layers.1.self_attn.q_proj") else own.get(module, (4, 32))


def pack(codes: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """The lowest bits of a 32-bit word first, as `mlx.core.quantize` documents it."""
    lanes = codes.reshape(len(codes), -1, 32 // bits).astype(np.uint64)
    words: np.ndarray[Any, Any] = (lanes << np.arange(0, 32, bits, dtype=np.uint64)).sum(-1).astype(np.uint32)
    return words


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LlamaForCausalLM]:
    """A model quantized module by module, and the model of the weights that float64 makes of it."""
    torch.manual_seed(0)
    noise = np.random.default_rng(0)
    oracle = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=96, hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip
    tensors: dict[str, Any] = {}
    for name, weight in oracle.state_dict().items():
        module = name.removesuffix(".weight")
        how = settings_of(module) if weight.dim() == 2 else None
        if how is None:
            tensors[name] = weight.numpy()
            continue
        bits, group = how
        rows, columns = weight.shape
        codes = noise.integers(0, 1 << bits, (rows, columns))
        scales, biases = (noise.normal(0, 0.1 / (1 << bits), (rows, columns // group)) for _ in range(2))
        tensors |= {
            name: pack(codes, bits),
            f"{module}.scales": scales.astype(np.float32),
            f"{module}.biases": biases.astype(np.float32),
        }
        weight.copy_(torch.from_numpy(codes * scales.repeat(group, 1) + biases.repeat(group, 1)))
    directory = tmp_path_factory.mktemp("mixed")
    save_file(tensors, directory / "model.safetensors")
    config = oracle.config.to_dict() | {"quantization": {"group_size": 32, "bits": 4} | NAMED}
    (directory / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForCausalLM"]}))
    return directory, oracle


def test_modules_have_settings_of_their_own(mixed: tuple[Path, LlamaForCausalLM]) -> None:
    directory, oracle = mixed
    model = weightscope.open(directory)
    assert model.parameters.total == oracle.num_parameters()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    summary = model.summary()
    assert (summary.model.quantization, summary.tensors.unrecognized) == ("mlx", ())
    with torch.no_grad():
        expected = oracle(torch.tensor([TOKENS])).logits[0]
    logits = model.forward(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.square().mean().sqrt()))


def test_slots_are_split_where_modules_differ_and_nowhere_else(mixed: tuple[Path, LlamaForCausalLM]) -> None:
    declaration = weightscope.open(mixed[0]).declaration
    assert declaration is not None
    found: dict[str, list[list[int]]] = {}
    for slot in declaration.slots:
        if slot.stored.kind == "weight" and len(slot.stored.shape) == 2 and slot.ranges:
            found.setdefault(slot.template.split(".")[-2], []).append(list(slot.ranges[0]))
    whole = [[0, 1, 2]]
    assert {role: sorted(ranges) for role, ranges in found.items()} == {
        "q_proj": [[0, 2], [1]], "k_proj": whole, "v_proj": whole, "o_proj": whole,
        "gate_proj": [[0, 1], [2]], "up_proj": whole, "down_proj": [[0], [1, 2]],
    }  # fmt: skip


def test_a_module_that_the_config_calls_plain_and_that_is_not(
    mixed: tuple[Path, LlamaForCausalLM], tmp_path: Path
) -> None:
    config = json.loads((mixed[0] / "config.json").read_text())
    config["quantization"]["model.layers.2.mlp.up_proj"] = False
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((mixed[0] / "model.safetensors").read_bytes())
    (finding,) = [finding for finding in weightscope.open(tmp_path).check() if finding.severity != "info"]
    assert (finding.code, finding.severity) == ("quantization-mismatch", "error")
    assert finding.tensors == ("model.layers.2.mlp.up_proj.weight",)


def test_a_lost_scale_is_missing_and_makes_no_module_plain(
    mixed: tuple[Path, LlamaForCausalLM], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file as load

    tensors = load(mixed[0] / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.scales"], tensors["model.layers.1.mlp.up_proj.biases"]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((mixed[0] / "config.json").read_bytes())
    found = {f.code: f.tensors for f in weightscope.open(tmp_path).check() if f.severity == "error"}
    assert found.keys() == {"missing-tensor"}


def test_widths_that_are_not_implemented_are_counted_and_refused_by_name(tmp_path: Path) -> None:
    """7 bits of one module: named, counted, and all else is read."""
    config = json.loads((FIXTURE / "config.json").read_text())
    config["quantization"] |= {"model.layers.0.mlp.up_proj": {"bits": 7, "group_size": 32}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((FIXTURE / "model.safetensors").read_bytes())
    model = weightscope.open(tmp_path)
    assert model.parameters.total == weightscope.open(FIXTURE).parameters.total
    (finding,) = [finding for finding in model.check() if finding.severity != "info"]
    assert (finding.code, finding.severity) == ("unknown-architecture", "warning")
    assert "7 bits" in finding.message
    with pytest.raises(weightscope.WeightscopeError, match=r"model\.layers\.0\.mlp\.up_proj\.weight .*mlx"):
        model.forward([1, 2, 3])


def test_parts_are_what_a_weight_expands_to() -> None:
    method = method_of(Config({"quantization": {"bits": 4, "group_size": 64}})).method
    assert method is not None
    weight = Stored(name="x.weight", shape=(Size(64), Size(64)), parts=((Role.UP_PROJ, 4096),))
    scheme = method.scheme(weight, "x")
    assert scheme is not None
    parts = scheme.expand(weight)
    assert scheme.parts("x.weight") == ("x.weight", "x.scales", "x.biases") == tuple(part.name for part in parts)
    assert [part.dtypes for part in parts] == [{"U32"}, {"F32", "F16", "BF16"}, {"F32", "F16", "BF16"}]
