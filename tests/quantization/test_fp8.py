"""DeepSeek's FP8 in blocks against what transformers dequantizes and leaves out."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.quantizers.quantizers_utils import should_convert_module

from weightscope.config import Config
from weightscope.quantization.common.excluded import tells_numbers_apart
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Scheme, Stored

FP8 = {"quant_method": "fp8", "weight_block_size": [4, 8]}


def stored(rows: int, columns: int, role: Role = Role.UP_PROJ) -> Stored:
    shape = (Size(rows, "intermediate_size"), Size(columns, "hidden_size"))
    return Stored(name="mlp.up_proj.weight", shape=shape, parts=((role, rows * columns),))


def scheme_of(weight: Stored, module: str = "mlp.up_proj", **settings: Any) -> Scheme | None:
    method = method_of(Config({"quantization_config": FP8 | settings})).method
    assert method is not None
    return method.scheme(weight, module)


def oracle(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A weight, its scales, and what transformers dequantizes them to; it wants whole blocks, so we pad and crop."""
    torch.manual_seed(0)
    full_rows, full_columns = -(-rows // 4) * 4, -(-columns // 8) * 8
    weight = torch.randn(full_rows, full_columns).to(torch.float8_e4m3fn)
    scales = torch.rand(full_rows // 4, full_columns // 8)
    expected = Fp8Dequantize(None)._dequantize_one(weight, scales, torch.float32)
    return weight[:rows, :columns], scales, expected[:rows, :columns]


@pytest.mark.parametrize(("rows", "columns"), [(8, 16), (4, 8), (9, 17), (3, 5), (12, 7)])
def test_reads_what_transformers_dequantizes(rows: int, columns: int) -> None:
    weight, scales, expected = oracle(rows, columns)
    scheme = scheme_of(stored(rows, columns))
    assert scheme is not None
    tensors = {"mlp.up_proj.weight": weight, "mlp.up_proj.weight_scale_inv": scales}
    torch.testing.assert_close(scheme.read("mlp.up_proj.weight", tensors.__getitem__), expected, rtol=0, atol=0)
    parts = {part.name: tuple(part.shape) for part in scheme.expand(stored(rows, columns))}
    assert parts == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert scheme.parts("mlp.up_proj.weight") == tuple(parts)


def test_scales_are_no_parameters_and_know_their_config_keys() -> None:
    scheme = scheme_of(stored(9, 17))
    assert scheme is not None
    weight, scale = scheme.expand(stored(9, 17))
    assert (weight.kind, weight.logical) == (Kind.WEIGHT, 153)
    assert scale.kind is Kind.SCALE
    assert [size.text for size in scale.shape] == ["⌈intermediate_size/4⌉", "⌈hidden_size/8⌉"]
    assert scale.shape[0].keys == ("intermediate_size",)


@pytest.mark.parametrize("role", [Role.TOKEN_EMBEDDING, Role.LM_HEAD, Role.ROUTER, Role.MTP_PROJ])
def test_leaves_plain_what_deepseek_leaves_plain(role: Role) -> None:
    assert scheme_of(stored(8, 8, role)) is None


NAMES = ["lm_head", "model.layers.1.mlp", "gate", "experts.3.up_proj"]
PATTERNS = [r"model\.layers\.(0|2)\.mlp", "model.layers.*.self_attn", "model.layers.4.$", "re_used.up_proj|x.y"]


@pytest.mark.parametrize("entries", [NAMES, PATTERNS, NAMES + PATTERNS, ["model.layers.1."], ["up_proj", "a[0-9]+"]])
@pytest.mark.parametrize(
    "module",
    ["lm_head", "model.layers.1.mlp", "model.layers.1.mlp.up_proj", "model.layers.11.mlp.up_proj", "x.gate", "model.a",
     "model.layers.1.mlp_up", "model.layers.2.mlp.up_proj", "model.layers.20.mlp.up_proj", "model.layers.4.up",
     "model.layers.7.self_attn.q_proj", "model.layers.7.self_attn_norm", "re_used.up_proj", "x.y.z", "a12", "b.a12",
     "model.layers.0.mlp.experts.3.up_proj", "model.layers.0.mlp.experts.13.up_proj"],
)  # fmt: skip
def test_excluded_modules_are_those_that_transformers_leaves_out(module: str, entries: list[str]) -> None:
    scheme = scheme_of(stored(8, 8), module, modules_to_not_convert=entries)
    assert (scheme is not None) is should_convert_module(module, entries)


@pytest.mark.parametrize(
    ("pattern", "tells"),
    [
        (r".*self_attn.*", False), (r".*\.mlp\.(gate|up)_proj$", False), (r"model.layers.*.mlp", False),
        (r".*mlp.gate$", False), (r"(?:a|b).*", False), (r".*experts\.3\..*", True), (r".*experts\.\d\..*", True),
        (r".*experts..\.up", True), (r".*experts\..+", True), (r"[a-z]+", True), (r"experts\..up", False),
    ],
)  # fmt: skip
def test_patterns_that_tell_experts_apart(pattern: str, tells: bool) -> None:
    """Where one says no, every number matches alike."""
    assert tells_numbers_apart(pattern) is tells
    for name in ("model.layers.{}.mlp.experts.{}.up_proj", "model.layers.{}.mlp.up", "{}.self_attn.{}", "experts.{}"):
        matches = {
            re.match(pattern, name.format(*numbers)) is not None
            for numbers in ((0, 3), (5, 13), (3, 3), (123, 7), (4, 45))
        }
        assert tells or len(matches) == 1
