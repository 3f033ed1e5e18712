"""MXFP4 of stacked experts against what transformers dequantizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import weightscope
from tests.quantization.bench import (
    LLAMA,
    TOKENS,
    Tensors,
    check_sound,
    difference,
    faults_of,
    mixture,
    quantize,
    write,
)
from weightscope.config import Config
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Scheme, Stored

NAME = "mlp.experts.up"


def scheme_of(weight: Stored, module: str = NAME, excluded: tuple[str, ...] = ()) -> Scheme | None:
    settings = {"quant_method": "mxfp4", "modules_to_not_convert": excluded}
    method = method_of(Config({"quantization_config": settings})).method
    assert method is not None
    return method.scheme(weight, module)


def stacked(experts: int, columns: int, rows: int) -> Stored:
    shape = (Size(experts), Size(columns, "hidden_size"), Size(rows))
    return Stored(name=NAME, shape=shape, parts=((Role.UP_PROJ, experts * rows * columns),))


@pytest.mark.parametrize(("experts", "rows", "columns"), [(3, 6, 64), (1, 2, 32), (5, 4, 96)])
def test_reads_what_transformers_dequantizes(experts: int, rows: int, columns: int) -> None:
    """Every code and a wide range of exponents, whole and one expert at a time."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    noise = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 256, (experts, rows, columns // 32, 16), dtype=torch.uint8, generator=noise)
    scales = torch.randint(90, 160, (experts, rows, columns // 32), dtype=torch.uint8, generator=noise)
    expected = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    weight = stacked(experts, columns, rows)
    scheme = scheme_of(weight)
    assert scheme is not None
    tensors = dict(zip(scheme.parts(NAME), (blocks, scales), strict=True))
    torch.testing.assert_close(scheme.read(NAME, tensors.__getitem__), expected, rtol=0, atol=0)
    last = scheme.read(NAME, lambda name: tensors[name][experts - 1 :])
    torch.testing.assert_close(last, expected[experts - 1 :], rtol=0, atol=0)
    packed, scale = scheme.expand(weight)
    assert {part.name: tuple(part.shape) for part in (packed, scale)} == {n: tuple(t.shape) for n, t in tensors.items()}
    assert (packed.kind, packed.logical, scale.kind) == (Kind.WEIGHT, experts * rows * columns, Kind.SCALE)
    assert packed.dtypes == scale.dtypes == frozenset({"U8"})
    assert scale.shape[2].text == "hidden_size/32"


def test_packs_stacked_experts_alone() -> None:
    matrix = Stored(name="mlp.up.weight", shape=(Size(32), Size(32)), parts=((Role.UP_PROJ, 1024),))
    assert scheme_of(matrix, "mlp.up") is None


@pytest.mark.parametrize(("excluded", "packs"), [("model.layers.*.mlp.router", True), ("model.layers.1.mlp", False)])
def test_leaves_out_the_experts_of_excluded_modules(excluded: str, packs: bool) -> None:
    scheme = scheme_of(stacked(2, 32, 4), "model.layers.1.mlp.experts.up", (excluded,))
    assert (scheme is not None) is packs


def fp4(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
    """A matrix as DeepSeek-V4's experts are stored, decoded by transformers."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    draw = torch.Generator().manual_seed(len(module))
    rows, columns = shape
    packed = torch.randint(0, 256, (rows, columns // 2), dtype=torch.uint8, generator=draw)
    scale = torch.randint(120, 126, (rows, columns // 32), dtype=torch.uint8, generator=draw)
    blocks = packed.view(1, rows, columns // 32, 16)
    matrix = convert_moe_packed_tensors(blocks, scale[None], dtype=torch.float32)[0].T.contiguous()
    return {".weight": packed.view(torch.int8), ".scale": scale.view(torch.float8_e8m0fnu)}, matrix


DEEPSEEK = {
    "model_type": "deepseek_of_tomorrow", "architectures": ["DeepseekOfTomorrowForCausalLM"],
    "quantization_config": {
        "quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0", "weight_block_size": [128, 128],
        "activation_scheme": "dynamic",
    },
}  # fmt: skip


def test_experts_of_a_type_that_no_family_declares_are_told_by_their_tensors(tmp_path: Path) -> None:
    """As deepseek-ai/DeepSeek-V4-Pro has them: experts in FP4, all else in FP8."""
    name, shared = "layers.0.ffn.experts.1.w1", "layers.0.ffn.shared_experts.w1"
    packed, expected = fp4(name, torch.Size((48, 64)))
    tensors = {f"{name}{mark}": part for mark, part in packed.items()} | {
        f"{shared}.weight": torch.ones(130, 256).to(torch.float8_e4m3fn),
        f"{shared}.scale": torch.ones(2, 2).to(torch.float8_e8m0fnu),
        "norm.weight": torch.ones(64),
    }
    model = weightscope.open(write(tmp_path, tensors, DEEPSEEK))
    assert model.parameters.total == 48 * 64 + 130 * 256 + 64
    read = torch.from_numpy(model.tensors[f"{name}.weight"].numpy(dequantize=True))
    torch.testing.assert_close(read, expected, rtol=0, atol=0)


def test_experts_in_fp4_among_fp8(tmp_path: Path) -> None:
    """The same in a mixture that is declared: the config speaks of FP8 alone."""
    settings = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": "ue8m0"}}

    def pack(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        if ".experts." in module:
            return fp4(module, shape)
        weight = torch.rand(shape).to(torch.float8_e4m3fn)
        return {".weight": weight, ".scale": torch.full([-(-n // 128) for n in shape], 0.25)}, (weight.float() * 0.25)

    quantized = quantize(mixture(), pack, settings)
    check_sound(quantized, tmp_path)
    module = "model.layers.1.mlp.experts.0.up_proj"
    found = faults_of(
        quantized.tensors | {f"{module}.scale": quantized.tensors[f"{module}.scale"].float()},
        quantized.config, tmp_path / "numbers",
    )  # fmt: skip
    assert "quantization-mismatch" in {finding.code for finding in found}


def test_gpt_oss_without_its_settings_is_told_by_its_tensors(tmp_path: Path) -> None:
    config, stored = gpt_oss(tmp_path / "whole")
    whole = weightscope.open(write(tmp_path / "whole", stored, config))
    # A head of transformers' first random numbers is just that.
    found = {finding.code for finding in whole.check(values=True) if finding.severity != "info"}
    assert found <= {"convention-mismatch"}
    stripped = {key: value for key, value in config.items() if key != "quantization_config"}
    model = weightscope.open(write(tmp_path / "stripped", stored, stripped))
    assert model.parameters.total == whole.parameters.total
    assert {finding.code for finding in model.check() if finding.severity == "error"} == {"quantization-mismatch"}
    assert difference(model.forward(TOKENS).logits, whole.forward(TOKENS).logits) == 0
    name = "model.layers.0.mlp.experts.down_proj_scales"
    for fault in (torch.full_like(stored[name], 255), stored[name].view(torch.int8), stored[name][:, 1:]):
        assert faults_of(stored | {name: fault}, config, tmp_path / "fault", values=True)


def gpt_oss(directory: Path) -> tuple[dict[str, Any], Tensors]:
    """A tiny gpt-oss as OpenAI publishes it, of random codes."""
    import transformers

    sizes = LLAMA | {"num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    model = transformers.GptOssForCausalLM(transformers.GptOssConfig(**sizes))
    model.save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    stored: Tensors = {}
    for name, tensor in load_file(directory / "model.safetensors").items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            stored[name] = tensor
            continue
        experts, columns, rows = tensor.shape
        stored[f"{name}_blocks"] = torch.randint(0, 256, (experts, rows, columns // 32, 16), dtype=torch.uint8)
        stored[f"{name}_scales"] = torch.randint(118, 122, (experts, rows, columns // 32), dtype=torch.uint8)
    return config | {"quantization_config": {"quant_method": "mxfp4"}}, stored
