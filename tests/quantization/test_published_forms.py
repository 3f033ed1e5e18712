"""Weight-only methods as people publish them: other architectures, indexes alone, types that nobody declares."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.families.test_published import expand
from tests.quantization import test_awq, test_bitsandbytes, test_gptq, test_hqq, test_quanto, test_torchao
from tests.quantization.bench import Quantized, Tensors, difference, llama, logits_of, quantize, write
from tests.quantization.written import MODULE, weight_of
from weightscope.config import Config
from weightscope.errors import WeightscopeError
from weightscope.families.declaration import declare
from weightscope.quantization.registry import method_of
from weightscope.roles import Section
from weightscope.storage.base import Kind

PUBLISHED = Path(__file__).parents[2] / "fixtures" / "published"
Pack = Callable[[str, torch.Size], tuple[Tensors, torch.Tensor]]
# Each method's settings and how it packs a matrix.
FORMS: dict[str, tuple[dict[str, Any], Pack]] = {
    "gptq": (test_gptq.settings(), test_gptq.Packer()),
    "awq": (test_awq.settings(), test_awq.pack),
    "nf4": (test_bitsandbytes.four(), test_bitsandbytes.FourBit()),
    "int8": (test_bitsandbytes.EIGHT, test_bitsandbytes.eight),
    "quanto": (test_quanto.settings("int8"), test_quanto.Packer(8, "qint8")),
    "hqq": (test_hqq.settings(), test_hqq.pack),
    "torchao": (test_torchao.settings(test_torchao.CLASSES["float8"]), test_torchao.Packer("float8")),
}


def gpt2(pack: Pack, settings: dict[str, Any], directory: Path) -> Quantized:
    """A GPT-2 whose Conv1D matrices, stored (in, out), are packed as those of a Linear, (out, in)."""
    config = transformers.GPT2Config(
        vocab_size=97, n_embd=64, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2, n_inner=160
    )
    torch.manual_seed(0)
    model: Any = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.3, 0.3)
    model.save_pretrained(directory)
    saved = json.loads((directory / "config.json").read_text())
    tensors: Tensors = {}
    dense: Tensors = {}
    modules = {}
    for name, tensor in model.state_dict().items():
        module = name.removesuffix(".weight")
        if name == "lm_head.weight":
            continue
        dense[name] = tensors[name] = tensor
        if tensor.dim() == 2 and ".h." in name:
            packed, matrix = pack(module, tensor.T.shape)
            dense[name] = matrix.T.contiguous()
            del tensors[name]
            tensors |= {f"{module}{mark}": part for mark, part in packed.items()}
            modules[module] = tuple(packed)
    return Quantized(tensors, dense, saved | settings, modules, model.num_parameters())


@pytest.mark.parametrize("name", FORMS)
def test_matrices_that_are_stored_transposed(name: str, tmp_path: Path) -> None:
    settings, pack = FORMS[name]
    model = gpt2(pack, settings, tmp_path / "plain")
    opened = weightscope.open(write(tmp_path / "x", model.tensors, model.config))
    assert opened.parameters.total == model.total
    assert [finding for finding in opened.check(values=True) if finding.severity != "info"] == []
    expected = logits_of(model.dense, model.config, tmp_path / "dense")
    assert difference(opened.forward([7, 3, 96, 0, 42, 11]).logits, expected) < 1e-4
    bare = {key: value for key, value in model.config.items() if key != "quantization_config"}
    assert weightscope.open(write(tmp_path / "bare", model.tensors, bare)).parameters.total == model.total


@pytest.mark.parametrize("name", FORMS)
def test_a_type_that_nobody_declares(name: str, tmp_path: Path) -> None:
    """Counted by what the tensors of each module tell, as Molmo in nf4 is published."""
    settings, pack = FORMS[name]
    blocks = [f"model.transformer.blocks.{layer}.{leaf}" for layer in range(2) for leaf in ("att_proj", "ff_proj")]
    tensors: Tensors = {"model.transformer.wte.embedding": torch.ones(97, 64)}
    for module in blocks:
        tensors |= {f"{module}{mark}": part for mark, part in pack(module, torch.Size((96, 64)))[0].items()}
    model = weightscope.open(write(tmp_path, tensors, {"model_type": "of_tomorrow"} | settings))
    assert model.parameters.total == 97 * 64 + 4 * 96 * 64


def test_qwen_7b_chat_int4_has_its_published_size(tmp_path: Path) -> None:
    """An index alone: codes, zero points and groups in 4 bytes each, all else in float16, a bias in every module."""
    published = json.loads((PUBLISHED / "Qwen__Qwen-7B-Chat-Int4.json").read_text())
    names = expand(published["index"]["names"])
    index = {"metadata": published["index"]["metadata"], "weight_map": dict.fromkeys(names, "model.safetensors")}
    (tmp_path / "config.json").write_text(json.dumps(published["config"]))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    model = weightscope.open(tmp_path / "model.safetensors.index.json")
    assert model.inventory.unrecognized == ()
    size = sum(group.elements * (4 if "I32" in group.dtypes else 2) for group in model.inventory.groups)
    assert size == published["index"]["metadata"]["total_size"] == 5860564992


@pytest.mark.parametrize("name", FORMS)
def test_a_module_that_lost_all_but_one_tensor(name: str, tmp_path: Path) -> None:
    """What contradicts itself is a finding and one clear line, whichever tensor is left."""
    settings, pack = FORMS[name]
    model = quantize(llama(), pack, settings)
    module = "model.layers.1.mlp.up_proj"
    for mark in model.modules[module]:
        kept = {n: t for n, t in model.tensors.items() if not n.startswith(f"{module}.") or n == f"{module}{mark}"}
        opened = weightscope.open(write(tmp_path, kept, model.config))
        assert {"missing-tensor", "quantization-mismatch"} & {f.code for f in opened.check() if f.severity == "error"}
        with pytest.raises(WeightscopeError):
            opened.forward([1, 2])


JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    1e400,
    10**40,
    "x",
    "\x00",
    [],
    [[]],
    [None],
    {},
    {"a": {}},
    {"_type": []},
    "a" * 9999,
]


@pytest.mark.parametrize("name", [*FORMS, "auto-round"])
def test_hostile_settings(name: str) -> None:
    """Each setting in turn as a value of every kind: an error that names it, what is missing by name, or a method."""
    settings = FORMS[name][0] if name in FORMS else {"quantization_config": {"quant_method": "auto-round", "bits": 4}}
    own = settings["quantization_config"]
    more = (
        "dynamic", "extra_config", "modules_to_not_convert", "modules_in_block_to_quantize", "lm_head", "version",
        "block_name_to_quantize", "checkpoint_format", "packing_format", "quant_config", "llm_int8_skip_modules",
        "skip_modules", "bnb_4bit_quant_storage", "data_type", "weights", "group_size", "bits", "pack_dtype",
        "quant_type", "desc_act",
    )  # fmt: skip
    weight = weight_of((32, 64))
    for key in dict.fromkeys((*own, *more)):
        for junk in JUNK:
            if key == "quant_method":
                continue
            try:
                method = method_of(Config({"quantization_config": own | {key: junk}})).method
            except WeightscopeError:
                continue
            assert method is not None
            scheme = method.scheme(weight, MODULE)
            if scheme is not None:
                scheme.expand(weight)


def test_tens_of_thousands_of_settings_are_looked_up_and_not_gone_through() -> None:
    """A hundred layers of 256 experts, each with settings of its own: a second or so, where a loop takes hours."""
    names = [f"model.layers.{layer}.mlp.experts.{e}.up_proj" for layer in range(100) for e in range(256)]
    weight = weight_of((32, 64))
    own = {
        "gptq": {"bits": 4, "dynamic": {f"+:^{name.replace('.', chr(92) + '.')}$": {"bits": 8} for name in names}},
        "auto-round": {"bits": 4, "extra_config": {name: {"bits": 8} for name in names}},
        "awq": {"bits": 4, "modules_to_not_convert": names},
        "bitsandbytes": {"load_in_8bit": True, "llm_int8_skip_modules": names},
    }
    for name, settings in own.items():
        start = time.perf_counter()
        method = method_of(Config({"quantization_config": {"quant_method": name} | settings})).method
        assert method is not None
        assert not method.missing
        assert method.singles_out("model.layers.{}.mlp.experts.{}.up_proj")
        for module in names:
            method.scheme(weight, module)
        # 25,600 modules; twenty times what it takes alone on a machine.
        assert time.perf_counter() - start < 20, name


@pytest.mark.parametrize(
    ("model", "count"),
    [
        # 60 layers of 384 experts of three matrices: no matrix of the eye, which the settings do not name.
        ("moonshotai__Kimi-K2.5", 60 * 384 * 3),
        # At its top level, and all of the eye is left out by name; besides the shared experts and the dense layer.
        ("nvidia__Kimi-K2.5-NVFP4", 60 * 385 * 3 + 3),
    ],
)
def test_settings_within_text_config_leave_the_eye_plain(model: str, count: int) -> None:
    config = json.loads((PUBLISHED / f"{model}.json").read_text())["config"]
    declaration = declare(Config(config))
    assert declaration is not None
    quantized = [slot for slot in declaration.slots if slot.stored.scheme and slot.stored.kind is Kind.WEIGHT]
    assert {slot.section for slot in quantized} <= {Section.MOE, Section.MLP}
    assert sum(slot.count for slot in quantized) == count
