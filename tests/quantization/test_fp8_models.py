"""Tiny models in FP8, in each form that is published, against transformers on the dequantized matrices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

import weightscope
from tests.quantization import bench
from tests.quantization.bench import Pack, Plain, Quantized, Settings, Tensors

SIZES = {"intermediate_size": 148}
PLAINS = [bench.llama(**SIZES), bench.mixture()]
MODULE = "model.layers.1.mlp.up_proj"


def settings(method: str = "fp8", **given: Any) -> Settings:
    return {"quantization_config": {"quant_method": method} | given}


def codes(module: str, shape: torch.Size) -> tuple[torch.Tensor, torch.Generator]:
    """Every code of E4M3 that is a number."""
    noise = torch.Generator().manual_seed(sum(module.encode()))
    drawn = torch.randint(0, 0x7F, shape, generator=noise) + 128 * torch.randint(0, 2, shape, generator=noise)
    return drawn.to(torch.uint8).view(torch.float8_e4m3fn), noise


def spread(scale: torch.Tensor, rows: int, columns: int, shape: torch.Size) -> torch.Tensor:
    return scale.repeat_interleave(rows, 0)[: shape[0]].repeat_interleave(columns, 1)[:, : shape[1]]


def blocks(
    rows: int,
    columns: int,
    leaf: str = "weight_scale_inv",
    stored_as: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Pack:
    """Blocks, the last of a row or column perhaps smaller; `stored_as` gives exponents their element type."""

    def pack(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        weight, noise = codes(module, shape)
        size = (-(-shape[0] // rows), -(-shape[1] // columns))
        scale = torch.rand(size, generator=noise) * 2e-3 + 1e-3
        if stored_as:
            scale = 2.0 ** torch.randint(-10, -7, size, generator=noise)
        stored = stored_as(scale) if stored_as else scale
        return {".weight": weight, f".{leaf}": stored}, weight.float() * spread(scale, rows, columns, shape)

    return pack


def whole(leaf: str, inputs: str = "", shape: tuple[int, ...] = ()) -> Pack:
    """One scale for the matrix, and one for what comes in."""

    def pack(module: str, size: torch.Size) -> tuple[Tensors, torch.Tensor]:
        weight, noise = codes(module, size)
        scale = torch.rand((), generator=noise) * 2e-3 + 1e-3
        stored = {".weight": weight, f".{leaf}": scale.reshape(shape)}
        if inputs:
            stored[f".{inputs}"] = torch.tensor(0.25).reshape(shape)
        return stored, weight.float() * scale

    return pack


def rows(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
    """A scale for each row, as fbgemm's quantizer gives them."""
    weight, noise = codes(module, shape)
    scale = torch.rand(shape[0], 1, generator=noise) * 2e-3 + 1e-3
    return {".weight": weight, ".weight_scale": scale}, weight.float() * scale


def as_e8m0(scale: torch.Tensor) -> torch.Tensor:
    return scale.to(torch.float8_e8m0fnu)


def as_bytes(scale: torch.Tensor) -> torch.Tensor:
    return as_e8m0(scale).view(torch.uint8)


BLOCKS: dict[str, Any] = {"weight_block_size": [32, 32], "fmt": "e4m3", "activation_scheme": "dynamic"}
STATIC: dict[str, Any] = {
    "weight_block_size": None,
    "activation_scheme": "static",
    "modules_to_not_convert": ["lm_head"],
}
FORMS: dict[str, tuple[Pack, Settings]] = {
    "blocks": (blocks(32, 32), settings(**BLOCKS)),
    "blocks of exponents": (blocks(32, 32, stored_as=as_e8m0), settings(**BLOCKS, scale_fmt="ue8m0")),
    "blocks of exponents as bytes": (blocks(1, 32, stored_as=as_bytes), settings(
        weight_block_size=[1, 32], scale_fmt="ue8m0")),
    "DeepSeek's own names": (blocks(32, 32, "scale"), settings(**BLOCKS)),
    "transformers, one scale": (whole("weight_scale_inv", "activation_scale"), settings(**STATIC)),
    "vLLM, one scale": (whole("weight_scale", "input_scale", (1,)), settings(activation_scheme="static")),
    "vLLM, dynamic": (whole("weight_scale"), settings(activation_scheme="dynamic", ignored_layers=["lm_head"])),
    "Mistral": (whole("qscale_weight", "qscale_act"), settings(**STATIC)),
    "fbgemm": (rows, settings("fbgemm_fp8", activation_scale_ub=1200.0, modules_to_not_convert=["lm_head"])),
    "mxfp8": (blocks(1, 32, "weight_scale", as_bytes), settings("mxfp8", ignored_layers=["re:lm_head"])),
    "mxfp8 as SGLang names it": (blocks(1, 32, stored_as=as_bytes), settings("mxfp8")),
}  # fmt: skip
# Exponents are no floats with a sign and a zero.
EXPONENTS = {"blocks of exponents", "blocks of exponents as bytes", "mxfp8", "mxfp8 as SGLang names it"}


def quantized(form: str, plain: Plain = PLAINS[0]) -> Quantized:
    return bench.quantize(plain, *FORMS[form])


def scale_of(form: str) -> str:
    """The mark of its scales."""
    return quantized(form).modules[MODULE][1]


@pytest.mark.parametrize("form", FORMS)
def test_models_are_counted_checked_and_computed(form: str, tmp_path: Path) -> None:
    for plain in PLAINS:
        bench.check_sound(quantized(form, plain), tmp_path / str(plain.total))


@pytest.mark.parametrize("form", FORMS)
def test_each_tensor_matters(form: str, tmp_path: Path) -> None:
    """But for the scale of activations."""
    ignored = (".activation_scale", ".input_scale", ".qscale_act")
    bench.check_every_tensor_matters(quantized(form), tmp_path, ignored=ignored)


@pytest.mark.parametrize("form", FORMS)
def test_planted_faults_are_caught(form: str, tmp_path: Path) -> None:
    found, mark = quantized(form), scale_of(form)
    optional = (".activation_scale", ".input_scale", ".qscale_act")
    floats = () if "bytes" in form or "mxfp8" in form else (mark,)
    bench.check_planted_faults(found, MODULE, tmp_path, scales=floats, optional=optional)
    if form not in EXPONENTS:
        bench.check_bounds(found, MODULE, tmp_path, marks=[mark], bad=(0.0, -1.0, 1e5))


@pytest.mark.parametrize("form", FORMS)
def test_without_its_settings_a_model_is_told_by_its_tensors(form: str, tmp_path: Path) -> None:
    bench.check_stripped(quantized(form, PLAINS[1]), tmp_path)


@pytest.mark.parametrize("form", ["transformers, one scale", "blocks of exponents", "blocks of exponents as bytes"])
def test_matrices_are_those_of_transformers(form: str) -> None:
    """Where its dequantizer takes whole blocks only, the shape has whole blocks."""
    parts, dense = FORMS[form][0]("x", torch.Size((64, 96)))
    expected = Fp8Dequantize(None)._dequantize_one(parts[".weight"], parts[scale_of(form)], torch.float32)
    torch.testing.assert_close(dense, expected, rtol=0, atol=0)


def test_bytes_are_exponents_only_where_the_settings_say_so(tmp_path: Path) -> None:
    found = bench.quantize(PLAINS[0], blocks(32, 32, stored_as=as_bytes), settings(**BLOCKS))
    model = weightscope.open(bench.write(tmp_path, found.tensors, found.config))
    assert {finding.code for finding in model.check() if finding.severity == "error"} == {"quantization-mismatch"}
    with pytest.raises(weightscope.WeightscopeError, match="U8"):
        model.forward(bench.TOKENS)


@pytest.mark.parametrize("key", ["modules_to_not_convert", "ignored_layers"])
def test_modules_that_are_left_out_by_name_and_by_pattern(key: str, tmp_path: Path) -> None:
    named = ["model.layers.0.mlp.down_proj", r"model\.layers\.1\.self_attn\.(q|k)_proj", "v_proj"]

    def covers(module: str) -> bool:
        plain = module in (
            "model.layers.0.mlp.down_proj",
            "model.layers.1.self_attn.q_proj",
            "model.layers.1.self_attn.k_proj",
        )
        return bench.inner(module) and not plain and not module.endswith("v_proj")

    given = settings(**(BLOCKS | {key: named}))
    found = bench.quantize(PLAINS[0], blocks(32, 32), given, covers)
    bench.check_sound(found, tmp_path)
    none = found.config | settings(**BLOCKS)
    faults = bench.faults_of(found.tensors, none, tmp_path)
    plain = {f"{name}.weight" for name in (
        "model.layers.0.mlp.down_proj", "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.k_proj",
        "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.v_proj",
    )}  # fmt: skip
    assert {(fault.code, *sorted(fault.names)) for fault in faults} == {("quantization-mismatch", *sorted(plain))}


def test_a_table_is_fp8_where_the_settings_name_it(tmp_path: Path) -> None:
    """transformers' FP8Embedding: one scale, [1]."""

    def pack(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        table = whole("weight_scale", shape=(1,))
        return (table if module.endswith("embed_tokens") else blocks(32, 32))(module, shape)

    given = settings(**BLOCKS, modules_to_convert=["embed_tokens"])
    found = bench.quantize(
        PLAINS[0], pack, given, lambda module: bench.inner(module) or module.endswith("embed_tokens")
    )
    bench.check_sound(found, tmp_path)


def test_experts_stacked_into_one_tensor(tmp_path: Path) -> None:
    """transformers' FP8Experts: blocks of each expert's matrix, (experts, rows, columns)."""
    from weightscope.config import Config
    from weightscope.quantization.registry import method_of
    from weightscope.roles import Role
    from weightscope.sizes import Size
    from weightscope.storage.base import Stored

    method = method_of(Config(settings(**BLOCKS))).method
    assert method is not None
    sizes = (3, 72, 40)
    roles = ((Role.GATE_PROJ, 3 * 36 * 40), (Role.UP_PROJ, 3 * 36 * 40))
    name = "model.layers.0.mlp.experts.gate_up_proj"
    stored = Stored(name=name, shape=tuple(map(Size, sizes)), parts=roles)
    scheme = method.scheme(stored, name)
    assert scheme is not None
    each = [blocks(32, 32)(f"expert {number}", torch.Size(sizes[1:])) for number in range(3)]
    tensors = {
        name: torch.stack([parts[".weight"].view(torch.uint8) for parts, _ in each]).view(torch.float8_e4m3fn),
        f"{name}_scale_inv": torch.stack([parts[".weight_scale_inv"] for parts, _ in each]),
    }
    expected = torch.stack([dense for _, dense in each])
    torch.testing.assert_close(scheme.read(name, tensors.__getitem__), expected, rtol=0, atol=0)
    assert {part.name: tuple(part.shape) for part in scheme.expand(stored)} == {
        key: tuple(tensor.shape) for key, tensor in tensors.items()
    }
    only = {key: tensor[1:2] for key, tensor in tensors.items()}
    torch.testing.assert_close(scheme.read(name, only.__getitem__), expected[1:2], rtol=0, atol=0)
