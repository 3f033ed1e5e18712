"""DeepSeek-V4 as DeepSeek publishes it: other names than transformers saves, FP8 and FP4 weights, a layer ahead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.components.test_logits import TOKENS
from tests.families.remote_code import v4_published
from tests.families.tiny import Tiny
from tests.families.tiny_mixtures import DEEPSEEK4, TINY_MIXTURES
from weightscope.errors import WeightscopeError
from weightscope.ranges import template_of

Tensors = dict[str, torch.Tensor]
# The values of a 4-bit float (E2M1), by its code; those from 8 on are negative.
E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
E2M1 = torch.cat((E2M1, -E2M1))
# Many more windows than an indexer keeps.
LONG = [(7 * i * i + 3 * i) % 101 for i in range(43)]


def written(directory: Path, config: dict[str, object], tensors: Tensors) -> weightscope.Model:
    (directory / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, directory / "model.safetensors")
    return weightscope.open(directory)


def expected_of(oracle: transformers.PreTrainedModel, tokens: list[int] = TOKENS) -> torch.Tensor:
    oracle.config._experts_implementation = "eager"
    with torch.no_grad():
        logits: torch.Tensor = oracle(torch.tensor([tokens]), use_cache=False).logits[0]
    return logits


def close(found: torch.Tensor | None, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def faults(model: weightscope.Model) -> list[object]:
    return [finding for finding in model.check() if finding.severity != "info"]


def test_under_published_names(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """And held in memory, where two connections of a layer lie in the same module."""
    config = json.loads((saved("deepseek_v4") / "config.json").read_text())
    oracle = Tiny("", "DeepseekV4", DEEPSEEK4).build()
    model = written(tmp_path, config, v4_published(load_file(saved("deepseek_v4") / "model.safetensors")))
    assert model.summary().tensors.unrecognized == ()
    assert faults(model) == []
    assert model.parameters.total == oracle.num_parameters()
    for hold in (False, True):
        close(model.forward(TOKENS, hold=hold).logits, expected_of(oracle))


@pytest.mark.parametrize("name", ["deepseek_v4", "deepseek_v4-yarn"])
def test_a_sequence_of_many_windows(name: str, saved: Callable[[str], Path]) -> None:
    """Each token's choice of compressed keys is that of transformers, or the logits would differ."""
    tiny = next(tiny for tiny in TINY_MIXTURES if tiny.name == name)
    close(weightscope.open(saved(name)).forward(LONG).logits, expected_of(tiny.build(), LONG))


@pytest.mark.parametrize("name", ["deepseek_v4", "deepseek_v4-yarn"])
def test_every_tensor_matters(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Each kind changed in turn, in all layers and experts, moves the logits by a hundredth of their rms and more."""
    config = json.loads((saved(name) / "config.json").read_text())
    tensors = load_file(saved(name) / "model.safetensors")
    before = written(tmp_path, config, tensors).forward(LONG).logits
    assert before is not None
    unmoved = []
    for kind in sorted({template_of(name)[0] for name in tensors}):
        noise = torch.Generator().manual_seed(1)
        changed = {
            name: tensor
            if template_of(name)[0] != kind
            else tensor + 4 * torch.rand(tensor.shape, generator=noise)
            if tensor.is_floating_point()
            else (tensor + 1) % 5
            for name, tensor in tensors.items()
        }
        after = written(tmp_path, config, changed).forward(LONG).logits
        assert after is not None
        if float((after - before).abs().max()) < 0.01 * float(before.square().mean().sqrt()):
            unmoved.append(kind)
    assert unmoved == []


def test_a_layer_ahead(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Its block sees a window alone; embedding and head are those of the model."""
    config = json.loads((saved("deepseek_v4") / "config.json").read_text())
    tensors = v4_published(load_file(saved("deepseek_v4") / "model.safetensors"))
    first = {name: tensor for name, tensor in tensors.items() if name.startswith("layers.0.") and "tid2eid" not in name}
    ahead = {name.replace("layers.0.", "mtp.0."): tensor for name, tensor in first.items()}
    ahead |= {f"mtp.0.{name}": torch.rand(24, 24) for name in ("e_proj.weight", "h_proj.weight")}
    ahead |= {f"mtp.0.{name}.weight": torch.rand(24) for name in ("enorm", "hnorm", "norm")}
    ahead |= {f"mtp.0.{name}": tensor for name, tensor in tensors.items() if name.startswith("hc_head_")}
    ahead["mtp.0.ffn.gate.bias"] = torch.rand(5)
    model = written(tmp_path, config, tensors | ahead)
    assert model.summary().tensors.unrecognized == ()
    assert faults(model) == []
    assert model.parameters.auxiliary == sum(tensor.numel() for tensor in ahead.values()) - 5


def in_fp8(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes, the one scale of a matrix below 128 × 128, and what they stand for."""
    scale = torch.tensor([[0.25]])
    codes = (weight / scale).to(torch.float8_e4m3fn)
    return codes, scale.to(torch.float8_e8m0fnu), codes.float() * scale


def in_fp4(weight: torch.Tensor, noise: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random codes, two a byte, the first in the lower half; a scale for each 32 columns; what they stand for."""
    rows, columns = weight.shape
    codes = torch.randint(0, 16, (rows, columns), generator=noise)
    scales = 2.0 ** torch.randint(-5, -1, (rows, columns // 32), generator=noise)
    packed = (codes[:, 0::2] + 16 * codes[:, 1::2]).to(torch.uint8).view(torch.int8)
    return packed, scales.to(torch.float8_e8m0fnu), E2M1[codes] * scales.repeat_interleave(32, dim=1)


FP8 = re.compile(r".*\.(wq_a|wq_b|wkv|wo_a|wo_b|shared_experts\.w[123])\.weight")
PLAIN = re.compile(r".*compressor.*")


def test_fp8_and_fp4_as_published(tmp_path: Path) -> None:
    """Attention and shared experts in FP8, routed experts in FP4, compressors as they are."""
    tiny = Tiny("", "DeepseekV4", DEEPSEEK4 | {"hidden_size": 64, "moe_intermediate_size": 32, "q_lora_rank": 12})
    oracle, noise = tiny.build(), torch.Generator().manual_seed(0)
    oracle.save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    stored: Tensors = {}
    for name, tensor in names.items():
        if re.search(r"\.experts\.\d+\.w[123]\.weight", name):
            stored[name], scale, names[name] = in_fp4(tensor, noise)
        elif FP8.fullmatch(name) and not PLAIN.fullmatch(name):
            stored[name], scale, names[name] = in_fp8(tensor)
        else:
            stored[name] = tensor
            continue
        stored[name.removesuffix("weight") + "scale"] = scale
    config = json.loads((tmp_path / "config.json").read_text())
    save_file(names, tmp_path / "model.safetensors", metadata={"format": "pt"})
    oracle = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    config["quantization_config"] = {
        "quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "scale_fmt": "ue8m0",
        "weight_block_size": [128, 128],
    }  # fmt: skip
    model = written(tmp_path, config | {"expert_dtype": "fp4"}, v4_published(stored))
    assert model.summary().tensors.unrecognized == ()
    assert faults(model) == []
    assert model.parameters.total == oracle.num_parameters()
    close(model.forward(TOKENS).logits, expected_of(oracle))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"layer_types": None, "compress_ratios": [0, 4, 128]}, "compress_ratios names 3 of 4 layers"),
        ({"layer_types": None, "compress_ratios": [0, 4, 128, 16]}, "attention of the kind 16 in compress_ratios"),
        ({"mlp_layer_types": ["moe"] * 3 + ["dense"]}, "mixtures of the kind 'dense'"),
        ({"compress_rates": {"heavily_compressed_attention": 3}}, "compressed_sparse_attention is None"),
        ({"is_causal": False}, "is_causal False"),
    ],
)
def test_what_is_refused(changed: dict[str, object], said: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    config = json.loads((saved("deepseek_v4") / "config.json").read_text())
    tensors = load_file(saved("deepseek_v4") / "model.safetensors")
    with pytest.raises(WeightscopeError, match=said):
        written(tmp_path, config | changed, tensors).forward(TOKENS)


def test_a_table_that_names_no_expert(saved: Callable[[str], Path], tmp_path: Path) -> None:
    config = json.loads((saved("deepseek_v4") / "config.json").read_text())
    tensors = load_file(saved("deepseek_v4") / "model.safetensors")
    tensors["model.layers.0.ffn.gate.tid2eid"][TOKENS[0]] = 5
    with pytest.raises(WeightscopeError, match="tid2eid names experts beyond 0 to 4"):
        written(tmp_path, config, tensors).forward(TOKENS)
