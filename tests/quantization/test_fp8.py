"""Quantization schemes against the libraries that write them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

from weightscope.config import Config
from weightscope.errors import ConfigError, UndeclaredError
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Stored
from weightscope.storage.block_fp8 import BlockFP8
from weightscope.storage.schemes import scheme_of

FP8 = {"quant_method": "fp8", "weight_block_size": [4, 8]}


def stored(rows: int, columns: int, role: Role = Role.UP_PROJ) -> Stored:
    shape = (Size(rows, "intermediate_size"), Size(columns, "hidden_size"))
    return Stored(name="mlp.up_proj.weight", shape=shape, parts=((role, rows * columns),))


def oracle_scheme(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A weight, its scales, and what transformers dequantizes them to; it wants whole blocks, so we pad and crop."""
    torch.manual_seed(0)
    full_rows, full_columns = -(-rows // 4) * 4, -(-columns // 8) * 8
    weight = torch.randn(full_rows, full_columns).to(torch.float8_e4m3fn)
    scales = torch.rand(full_rows // 4, full_columns // 8)
    expected = Fp8Dequantize(None)._dequantize_one(weight, scales, torch.float32)
    return weight[:rows, :columns], scales, expected[:rows, :columns]


@pytest.mark.parametrize(("rows", "columns"), [(8, 16), (4, 8), (9, 17), (3, 5), (12, 7)])
def test_block_fp8_reads_what_transformers_dequantizes(rows: int, columns: int) -> None:
    weight, scales, expected = oracle_scheme(rows, columns)
    scheme = scheme_of(Config({"quantization_config": FP8}))
    assert scheme is not None
    tensors = {"mlp.up_proj.weight": weight, "mlp.up_proj.weight_scale_inv": scales}
    torch.testing.assert_close(scheme.read("mlp.up_proj.weight", tensors.__getitem__), expected, rtol=0, atol=0)
    parts = {part.name: tuple(part.shape) for part in scheme.expand(stored(rows, columns))}
    assert parts == {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def test_block_fp8_scales_are_no_parameters_and_know_their_config_keys() -> None:
    weight, scale = BlockFP8(rows=4, columns=8).expand(stored(9, 17))
    assert (weight.kind, weight.logical) == (Kind.WEIGHT, 153)
    assert scale.kind is Kind.SCALE
    assert [size.text for size in scale.shape] == ["⌈intermediate_size/4⌉", "⌈hidden_size/8⌉"]
    assert scale.shape[0].keys == ("intermediate_size",)


@pytest.mark.parametrize("role", [Role.TOKEN_EMBEDDING, Role.LM_HEAD, Role.ROUTER, Role.MTP_PROJ])
def test_block_fp8_keeps_what_deepseek_keeps(role: Role) -> None:
    assert not BlockFP8(rows=4, columns=8).applies(stored(8, 8, role))


@pytest.mark.parametrize(
    "module",
    ["lm_head", "model.layers.1.mlp", "model.layers.1.mlp.up_proj", "model.layers.11.mlp.up_proj", "x.gate", "model.a"],
)
def test_excluded_modules_are_those_that_transformers_leaves_out(module: str) -> None:
    from transformers.quantizers.quantizers_utils import should_convert_module

    names = ["lm_head", "model.layers.1.mlp", "gate"]
    scheme = scheme_of(Config({"quantization_config": FP8 | {"modules_to_not_convert": names}}))
    assert scheme is not None
    assert scheme.converts(module) is should_convert_module(module, names)


@pytest.mark.parametrize(
    ("settings", "error", "named"),
    [
        ({"quant_method": "gptq", "bits": 4}, UndeclaredError, "gptq"),
        ({"quant_method": "fp8"}, UndeclaredError, "fp8"),
        (FP8 | {"weight_block_size": [0, 8]}, ConfigError, "weight_block_size"),
        (FP8 | {"weight_block_size": "128"}, ConfigError, "weight_block_size"),
        (FP8 | {"modules_to_not_convert": ["model.*.mlp"]}, UndeclaredError, "model.*.mlp"),
        ({"bits": 3, "group_size": 64}, UndeclaredError, "3"),
        ({"bits": 4, "group_size": 64, "mode": "mxfp4"}, UndeclaredError, "mxfp4"),
        ({"bits": 4, "group_size": 64, "lm_head": {"bits": 8}}, UndeclaredError, "differs by module"),
        ({"load_in_4bit": True}, UndeclaredError, "quant_method"),
        ("fp8", ConfigError, "fp8"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(settings: Any, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named.replace("*", r"\*")):
        scheme_of(Config({"quantization_config": settings}))


@pytest.mark.parametrize(("experts", "rows", "columns"), [(3, 6, 64), (1, 2, 32), (5, 4, 96)])
def test_mxfp4_reads_what_transformers_dequantizes(experts: int, rows: int, columns: int) -> None:
    """Every code and a wide range of exponents, whole and one expert at a time."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    noise = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 256, (experts, rows, columns // 32, 16), dtype=torch.uint8, generator=noise)
    scales = torch.randint(90, 160, (experts, rows, columns // 32), dtype=torch.uint8, generator=noise)
    expected = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    scheme = scheme_of(Config({"quantization_config": {"quant_method": "mxfp4"}}))
    assert scheme is not None
    tensors = dict(zip(scheme.parts("mlp.experts.up"), (blocks, scales), strict=True))
    torch.testing.assert_close(scheme.read("mlp.experts.up", tensors.__getitem__), expected, rtol=0, atol=0)
    last = scheme.read("mlp.experts.up", lambda name: tensors[name][experts - 1 :])
    torch.testing.assert_close(last, expected[experts - 1 :], rtol=0, atol=0)
    shape = (Size(experts), Size(columns, "hidden_size"), Size(rows))
    weight = Stored(name="mlp.experts.up", shape=shape, parts=((Role.UP_PROJ, experts * rows * columns),))
    packed, scale = scheme.expand(weight)
    assert {part.name: tuple(part.shape) for part in (packed, scale)} == {n: tuple(t.shape) for n, t in tensors.items()}
    assert (packed.kind, packed.logical, scale.kind) == (Kind.WEIGHT, experts * rows * columns, Kind.SCALE)
    assert scale.shape[2].text == "hidden_size/32"


def test_mxfp4_packs_stacked_experts_alone() -> None:
    scheme = scheme_of(Config({"quantization_config": {"quant_method": "mxfp4"}}))
    assert scheme is not None
    assert not scheme.applies(stored(32, 32))


@pytest.mark.parametrize(
    ("settings", "leaves"),
    [
        (FP8, {"x.weight": ("x.weight", "x.weight_scale_inv")}),
        ({"bits": 4, "group_size": 64}, {"x.weight": ("x.weight", "x.scales", "x.biases")}),
        ({"quant_method": "mxfp4"}, {"x.up": ("x.up_blocks", "x.up_scales")}),
    ],
)
def test_parts_are_what_a_weight_expands_to(settings: Any, leaves: dict[str, tuple[str, ...]]) -> None:
    scheme = scheme_of(Config({"quantization_config": settings}))
    assert scheme is not None
    for name, parts in leaves.items():
        size = (Size(1),) * (settings.get("quant_method") == "mxfp4") + (Size(64), Size(64))
        weight = Stored(name=name, shape=size, parts=((Role.UP_PROJ, 4096),))
        assert scheme.parts(name) == parts == tuple(part.name for part in scheme.expand(weight))
