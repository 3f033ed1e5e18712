"""bitsandbytes against its own layers and functions (fixtures/quantized), and in whole models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
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
    faults_of,
    llama,
    mixture,
    quantize,
    write,
)
from tests.quantization.written import MODULE, check_written, scheme_of, told, variants, weight_of
from weightscope.config import Config
from weightscope.errors import ConfigError, WeightscopeError
from weightscope.quantization.registry import method_of

VARIANTS = variants("bitsandbytes")
NF4 = VARIANTS["nf4-False"].tensors[".weight.quant_map"]
STATE = ".weight.quant_state.bitsandbytes__nf4"
DTYPES = {"uint8": torch.uint8, "bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_what_the_library_stores_and_computes(title: str) -> None:
    """Bit for bit in float32; in `block`, scales are for 128 weights, which only the text tells."""
    written = VARIANTS[title]
    if title == "block":
        scheme = scheme_of(written)
        torch.testing.assert_close(scheme.read(f"{MODULE}.weight", written.raw), written.expected, rtol=0, atol=0)
    elif title in ("nf4-True", "fp4-True", "long"):
        scheme = scheme_of(written)
        read = scheme.read(f"{MODULE}.weight", written.raw)
        # The library adds the offset to scales that it may have fused with the product: one rounding.
        torch.testing.assert_close(read, written.expected, rtol=1e-6, atol=1e-7)
    else:
        check_written(written)


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_told_by_its_tensors(title: str) -> None:
    written = VARIANTS[title]
    found = told(written, "bitsandbytes", shape=tuple(written.expected.shape))
    assert found is not None
    assert found[1] == tuple(written.expected.shape)
    torch.testing.assert_close(found[0].read(f"{MODULE}.weight", written.raw), written.expected, rtol=1e-6, atol=1e-7)
    alone = told(written, "bitsandbytes")
    assert alone is not None
    assert np.prod(alone[1]) in (written.expected.numel(), written.expected.numel() + 1)


class FourBit:
    """nf4 by its published rules: random codes and scales, in any storage."""

    def __init__(self, storage: str = "uint8", *, nested: bool = False) -> None:
        self.storage, self.nested = storage, nested
        self.noise = torch.Generator().manual_seed(0)

    def __call__(self, module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        rows, columns = shape
        count = rows * columns
        codes = torch.randint(0, 256, (count // 2,), generator=self.noise, dtype=torch.uint8)
        # As numbers in wider types, any bits but those of NaN, which no comparison of tensors takes for equal.
        if self.storage != "uint8":
            codes &= 0x3B
        values = NF4[torch.stack((codes >> 4, codes & 15), -1).flatten().long()]
        scales = torch.rand(-(-count // 64), generator=self.noise) * 0.4 + 0.1
        state: dict[str, Any] = {"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": list(shape)}
        tensors: Tensors = {".weight": codes.view(DTYPES[self.storage])[:, None], ".weight.absmax": scales}
        if self.nested:
            again = torch.randint(0, 256, scales.shape, generator=self.noise, dtype=torch.uint8)
            book = torch.linspace(-1, 1, 256)
            absmax = torch.rand(-(-len(scales) // 256), generator=self.noise) * 0.1 + 0.3
            scales = book[again.int()] * absmax.repeat_interleave(256)[: len(scales)] + 0.5
            tensors[".weight.absmax"] = again
            tensors |= {".weight.nested_absmax": absmax, ".weight.nested_quant_map": book}
            state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.5}
        tensors |= {".weight.quant_map": NF4.clone(), STATE: text(state)}
        weight = values * scales.repeat_interleave(64)[:count]
        return tensors, weight.reshape(rows, columns)


def text(state: Any) -> torch.Tensor:
    content: bytes = state if isinstance(state, bytes) else json.dumps(state).encode()
    return torch.tensor(list(content), dtype=torch.uint8)


def eight(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
    """int8 by its published rule, w = q · SCB / 127, as float32 computes it."""
    noise = torch.Generator().manual_seed(sum(map(ord, module)))
    codes = torch.randint(-127, 128, shape, generator=noise, dtype=torch.int8)
    scales = torch.rand(shape[0], generator=noise) * 0.4 + 0.1
    weight = codes.float() * scales[:, None] * 7.874015718698502e-3
    return {".weight": codes, ".SCB": scales, ".weight_format": torch.tensor(0, dtype=torch.uint8)}, weight


def settings(**own: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": "bitsandbytes", **own}}


EIGHT = settings(load_in_8bit=True)


def four(storage: str = "uint8", *, nested: bool = False, **own: Any) -> dict[str, Any]:
    keys = {"quant_type": "nf4", "quant_storage": storage, "use_double_quant": nested, "compute_dtype": "bfloat16"}
    return settings(load_in_4bit=True, **{f"bnb_4bit_{key}": value for key, value in keys.items()}, **own)


def quantized(storage: str = "uint8", *, nested: bool = False) -> Quantized:
    return quantize(llama(), FourBit(storage, nested=nested), four(storage, nested=nested))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("storage", DTYPES)
def test_models(storage: str, nested: bool, tmp_path: Path) -> None:
    check_sound(quantized(storage, nested=nested), tmp_path)


def test_models_of_int8(tmp_path: Path) -> None:
    model = quantize(llama(), eight, EIGHT)
    check_sound(model, tmp_path)
    old = {name: tensor for name, tensor in model.tensors.items() if not name.endswith("weight_format")}
    check_sound(model._replace(tensors=old), tmp_path / "old")


def test_a_mixture_whose_experts_are_modules(tmp_path: Path) -> None:
    """The router is a Linear in some versions of transformers, and a parameter in others."""
    check_sound(quantize(mixture(), FourBit(), four()), tmp_path / "plain")
    both = quantize(mixture(), FourBit(), four(), covers=lambda module: module.endswith(("_proj", "mlp.gate")))
    check_sound(both, tmp_path / "both")


def test_every_tensor_matters(tmp_path: Path) -> None:
    check_every_tensor_matters(quantized(nested=False), tmp_path, ignored=[STATE])
    check_every_tensor_matters(quantized(nested=True), tmp_path, ignored=[STATE])
    check_every_tensor_matters(quantize(llama(), eight, EIGHT), tmp_path, ignored=[".weight_format"])


def test_planted_faults(tmp_path: Path) -> None:
    module = "model.layers.1.mlp.down_proj"
    model = quantize(llama(), eight, EIGHT)
    check_planted_faults(model, module, tmp_path, scales=[".SCB"], optional=[".weight_format"])
    check_bounds(model, module, tmp_path, marks=[".SCB"])
    check_bounds(model, module, tmp_path, marks=[".weight_format"], bad=[1])


@pytest.mark.parametrize("nested", [False, True])
def test_planted_faults_of_4_bits(nested: bool, tmp_path: Path) -> None:
    """The text has no shape of its own; it is looked at when it is read."""
    module = "model.layers.1.mlp.down_proj"
    model = quantized(nested=nested)
    scale = ".weight.nested_absmax" if nested else ".weight.absmax"
    shown = {name: tuple(mark for mark in marks if mark != STATE) for name, marks in model.modules.items()}
    check_planted_faults(model._replace(modules=shown), module, tmp_path, scales=[scale])
    check_caught(model, {f"{module}{STATE}": None}, "missing-tensor", tmp_path)
    check_bounds(model, module, tmp_path, marks=[scale])
    check_bounds(model, module, tmp_path, marks=[".weight.quant_map"], bad=[2.0, -1.5])


STATES: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{" * 100, "is not a quant_state"),
    "no object": (b"[1, 2]", "is not a quant_state"),
    "not UTF-8": (b'{"quant_type": "\xff"}', "is not a quant_state"),
    "too long": (b" " * 5000, "5,000 bytes"),
    "another shape": ({"shape": [64, 160, 1]}, "gives the shape"),
    "a turned shape": ({"shape": [160, 64]}, "gives the shape"),
    "a hostile shape": ({"shape": [10**30, 1]}, "gives the shape"),
    "a shape of texts": ({"shape": ["64", "160"]}, "is not a quant_state"),
    "blocks of none": ({"blocksize": 0}, "is not a quant_state"),
    "blocks of another size": ({"blocksize": 128}, "has shape"),
    "another code": ({"quant_type": "fp4"}, "contradicts"),
    "a foreign code": ({"quant_type": "int4"}, "is not a quant_state"),
    "an offset alone": ({"nested_offset": 0.5}, "contradicts"),
    "an infinite offset": (b'{"quant_type": "nf4", "shape": [64, 160], "nested_offset": 1e999}', "quant_state"),
}  # fmt: skip


@pytest.mark.parametrize("what", STATES)
def test_a_text_that_says_something_else_is_found_and_not_computed(what: str, tmp_path: Path) -> None:
    content, message = STATES[what]
    good: dict[str, Any] = {"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [64, 160]}
    model = quantized()
    name = f"model.layers.0.mlp.down_proj{STATE}"
    wrong = model.tensors | {name: text(content if isinstance(content, bytes) else good | content)}
    opened = weightscope.open(write(tmp_path, wrong, model.config))
    with pytest.raises(WeightscopeError, match=message):
        opened.forward([1, 2])
    faults = [finding for finding in opened.check(values=True) if finding.severity == "error"]
    assert [(finding.code, *finding.names) for finding in faults] == [
        ("quantization-mismatch", "model.layers.0.mlp.down_proj.weight")
    ]
    assert faults[0].message.startswith(f"{name} ")


def test_a_layout_of_old_gpus_is_not_computed(tmp_path: Path) -> None:
    model = quantize(llama(), eight, EIGHT)
    name = "model.layers.0.mlp.down_proj.weight_format"
    wrong = model.tensors | {name: torch.tensor(2, dtype=torch.uint8)}
    with pytest.raises(WeightscopeError, match="layout of old GPUs"):
        weightscope.open(write(tmp_path, wrong, model.config)).forward([1, 2])


def test_without_settings(tmp_path: Path) -> None:
    check_stripped(quantized(), tmp_path / "1")
    check_stripped(quantized("bfloat16", nested=True), tmp_path / "2")
    check_stripped(quantize(llama(), eight, EIGHT), tmp_path / "3")


def test_what_the_text_says_counts(tmp_path: Path) -> None:
    """Loaders take code, storage and the second quantization from it, not from config.json."""
    model = quantized("bfloat16", nested=True)
    other = four() | {"model_type": "llama"}
    assert {f.code for f in faults_of(model.tensors, model.config | other, tmp_path / "x")} <= {"quantization-mismatch"}
    other = four("bfloat16")
    check_sound(model._replace(config=model.config | other), tmp_path)


def test_modules_that_are_skipped(tmp_path: Path) -> None:
    """By full name, by the last parts, or by a part within, as older versions of transformers matched them."""
    skipped = ["lm_head", "model.layers.0.mlp", "self_attn.k_proj", "layers.1.mlp.up_proj"]
    own = four(llm_int8_skip_modules=skipped)

    def covers(module: str) -> bool:
        out = "layers.0.mlp" in module or module.endswith("k_proj") or "1.mlp.up" in module
        return module.endswith("_proj") and not out

    model = quantize(llama(), FourBit(), own, covers=covers)
    check_sound(model, tmp_path)
    name = "model.layers.0.mlp.up_proj"
    packed, _ = FourBit()(name, torch.Size((160, 64)))
    tensors = {n: t for n, t in model.tensors.items() if n != f"{name}.weight"}
    tensors |= {f"{name}{mark}": tensor for mark, tensor in packed.items()}
    assert "quantization-mismatch" in {f.code for f in faults_of(tensors, model.config, tmp_path / "unsaid")}


def test_a_head_that_no_list_keeps(tmp_path: Path) -> None:
    """transformers quantizes it once there is a list without it."""
    own = four(llm_int8_skip_modules=["visual"])
    covers = lambda module: module.endswith(("_proj", "lm_head"))  # noqa: E731
    check_sound(quantize(llama(vocab_size=98), FourBit(), own, covers=covers), tmp_path / "1")
    check_sound(quantize(llama(), FourBit(), own), tmp_path / "2")


def test_a_plain_module_that_nothing_skips(tmp_path: Path) -> None:
    model = quantized()
    name = "model.layers.0.mlp.up_proj"
    tensors = {n: t for n, t in model.tensors.items() if not n.startswith(f"{name}.")}
    found = faults_of(tensors | {f"{name}.weight": torch.zeros(160, 64)}, model.config, tmp_path)
    assert [finding.code for finding in found] == ["quantization-mismatch"]


def test_a_matrix_that_is_stored_transposed() -> None:
    """GPT-2's Conv1D is quantized as a Linear, (out, in)."""
    for title in ("nf4-False", "int8"):
        written = VARIANTS[title]
        method = method_of(Config({"quantization_config": written.settings})).method
        assert method is not None
        rows, columns = written.expected.shape
        stored = weight_of((columns, rows), transposed=True)
        scheme = method.scheme(stored, MODULE)
        assert scheme is not None
        assert tuple(map(int, scheme.expand(stored)[0].shape)) == tuple(written.tensors[".weight"].shape)
        read = scheme.read(f"{MODULE}.weight", written.raw)
        torch.testing.assert_close(read, written.expected.T, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ({}, "neither"), ({"load_in_4bit": True, "load_in_8bit": True}, "both"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "int4"}, "int4"),
        ({"load_in_4bit": True, "bnb_4bit_quant_storage": "int32"}, "storage"),
    ],
)  # fmt: skip
def test_what_is_not_implemented_is_named(own: dict[str, Any], missing: str) -> None:
    method = method_of(Config(settings(**own))).method
    assert method is not None
    assert method.name == "bitsandbytes"
    assert missing in method.missing


@pytest.mark.parametrize(
    "own",
    [
        {"load_in_4bit": 1}, {"load_in_8bit": "yes"}, {"load_in_4bit": True, "bnb_4bit_quant_type": 4},
        {"load_in_4bit": True, "bnb_4bit_use_double_quant": "no"}, {"load_in_8bit": True, "llm_int8_skip_modules": "a"},
        {"load_in_4bit": True, "bnb_4bit_quant_storage": []}, {"load_in_8bit": True, "llm_int8_skip_modules": ["a("]},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        method_of(Config(settings(**own)))
