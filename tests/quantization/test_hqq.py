"""HQQ against what its own layer stores and computes (fixtures/quantized), and in whole models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.quantization.bench import (
    Quantized,
    Tensors,
    check_bounds,
    check_caught,
    check_every_tensor_matters,
    check_planted_faults,
    check_sound,
    check_stripped,
    llama,
    mixture,
    quantize,
    write,
)
from tests.quantization.written import MODULE, check_written, told, variants
from weightscope.config import Config
from weightscope.errors import ConfigError, WeightscopeError
from weightscope.quantization.registry import method_of

VARIANTS = variants("hqq")
CORE = (".W_q", ".scale", ".zero")


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_what_the_library_stores_and_computes(title: str) -> None:
    check_written(VARIANTS[title], optional=False)


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_told_by_its_tensors(title: str) -> None:
    """Along axis 0, any number of codes to an element fits without the declared shape."""
    written = VARIANTS[title]
    found = told(written, "hqq", shape=tuple(written.expected.shape))
    assert found is not None
    torch.testing.assert_close(found[0].read(f"{MODULE}.weight", written.raw), written.expected, rtol=0, atol=0)
    alone = told(written, "hqq")
    assert (alone is None) == title.endswith(("axis0", "column"))
    assert alone is None or alone[1][0] * alone[1][1] == written.expected.numel()


def text(content: str) -> torch.Tensor:
    return torch.tensor([ord(character) for character in content], dtype=torch.uint8)


def pack(module: str, shape: torch.Size, group: int = 32) -> tuple[Tensors, torch.Tensor]:
    """4 bits along axis 1 by its published rules, w = (q - zero) · scale, as float32 computes it."""
    noise = torch.Generator().manual_seed(sum(map(ord, module)))
    rows, columns = shape
    groups = rows * columns // group
    codes = torch.randint(0, 16, (groups, group), generator=noise, dtype=torch.uint8)
    scale, zero = (torch.rand(groups, 1, generator=noise) + 0.5 for _ in range(2))
    scale, zero = (scale / 40).half(), (zero * 8).half()
    number = {".nbits": 4, ".group_size": group, ".axis": 1}
    flags = ("view_as_float", "quant_scale", "quant_zero", "offload_meta", "round_zero")
    tensors = {
        ".W_q": (codes[: groups // 2] << 4) | codes[groups // 2 :], ".scale": scale, ".zero": zero,
        ".shape": torch.tensor(shape), ".packing": text("4bit_u8"), ".compute_dtype": text("torch.float16"),
        ".unpack_view_dtype": text("torch.uint8"), ".encoded_state_dict": torch.tensor(1, dtype=torch.uint8),
        ".channel_wise": torch.tensor(1, dtype=torch.uint8), ".optimize": torch.tensor(1, dtype=torch.uint8),
        ".stores_quant_config": torch.tensor(1, dtype=torch.uint8),
        **{mark: torch.tensor(value, dtype=torch.int32) for mark, value in number.items()},
        **{f".{flag}": torch.tensor(0, dtype=torch.uint8) for flag in flags},
    }  # fmt: skip
    return tensors, ((codes.float() - zero.float()) * scale.float()).reshape(rows, columns)


PARAMS = {"nbits": 4, "group_size": 32, "axis": 1, "channel_wise": True, "optimize": True, "view_as_float": False}


def settings(own: Any = None, **more: Any) -> dict[str, Any]:
    config = {"weight_quant_params": PARAMS} if own is None else own
    return {"quantization_config": {"quant_method": "hqq", "quant_config": config, "skip_modules": ["lm_head"], **more}}


def quantized() -> Quantized:
    return quantize(llama(), pack, settings())


def test_models(tmp_path: Path) -> None:
    check_sound(quantized(), tmp_path / "1")
    check_sound(quantize(mixture(), pack, settings()), tmp_path / "2")
    bare = {name: t for name, t in quantized().tensors.items() if f".{name.rpartition('.')[2]}" in (*CORE, ".weight")}
    check_sound(quantized()._replace(tensors=bare), tmp_path / "3")
    check_stripped(quantized(), tmp_path / "4")


def test_settings_for_kinds_of_modules(tmp_path: Path) -> None:
    """Kinds without any stay plain."""
    own = {"self_attn.q_proj": PARAMS | {"group_size": 64}, "mlp.up_proj": PARAMS}
    covers = lambda module: module.endswith(("q_proj", "up_proj"))  # noqa: E731
    kinds = quantize(
        llama(), lambda m, shape: pack(m, shape, 64 if "q_proj" in m else 32), settings(own), covers=covers
    )
    check_sound(kinds, tmp_path)


def test_every_tensor_matters(tmp_path: Path) -> None:
    meta = [mark for mark in pack("x", torch.Size((8, 32)))[0] if mark not in CORE]
    check_every_tensor_matters(quantized(), tmp_path, ignored=meta)


def test_planted_faults(tmp_path: Path) -> None:
    module = "model.layers.1.mlp.down_proj"
    model = quantized()
    shown = model._replace(modules=dict.fromkeys(model.modules, CORE))
    check_planted_faults(shown, module, tmp_path, scales=[".scale", ".zero"])
    check_bounds(model, module, tmp_path, marks=[".scale"])
    for mark, value in ((".group_size", 64), (".axis", 0), (".view_as_float", 1), (".quant_scale", 1)):
        wrong = torch.full_like(model.tensors[f"{module}{mark}"], value)
        check_caught(model, {f"{module}{mark}": wrong}, "quantization-mismatch", tmp_path, values=True)


@pytest.mark.parametrize(
    ("mark", "value"), [("nbits", 2), ("nbits", -1), ("group_size", 64), ("axis", 0), ("quant_zero", 1)]
)
def test_settings_in_a_module_that_contradict_it_are_not_computed(mark: str, value: int, tmp_path: Path) -> None:
    model = quantized()
    name = f"model.layers.0.mlp.up_proj.{mark}"
    wrong = model.tensors | {name: torch.full_like(model.tensors[name], value)}
    with pytest.raises(WeightscopeError, match=f"up_proj.{mark} contradicts"):
        weightscope.open(write(tmp_path, wrong, model.config)).forward([1, 2])


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ({"weight_quant_params": PARAMS | {"nbits": 7}}, "7 bits"),
        ({"weight_quant_params": PARAMS, "scale_quant_params": {}}, "scale_quant"),
        ({"weight_quant_params": PARAMS | {"view_as_float": True}}, "view_as_float"), ({}, "without quant_config"),
        ({"weight_quant_params": PARAMS | {"channel_wise": False}}, "channel_wise"),
    ],
)  # fmt: skip
def test_what_is_not_implemented_is_named(own: dict[str, Any], missing: str) -> None:
    method = method_of(Config(settings(own))).method
    assert method is not None
    assert missing in method.missing


@pytest.mark.parametrize(
    "own",
    [
        4, {"weight_quant_params": 5}, {"weight_quant_params": PARAMS | {"nbits": "4"}},
        {"weight_quant_params": PARAMS | {"axis": -1}}, {"weight_quant_params": PARAMS | {"group_size": 0}},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(own: Any) -> None:
    with pytest.raises(ConfigError):
        method_of(Config(settings(own)))
