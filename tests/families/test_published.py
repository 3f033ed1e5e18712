"""Published models: their configs give the names of their real index files, their real sizes, transformers' count."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import weightscope
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.registry import declare
from weightscope.storage.base import Kind

FIXTURES = Path(__file__).parents[2] / "fixtures"
FILES = sorted((FIXTURES / "published").glob("*.json"))
DTYPE_BYTES = {"F16": 2, "BF16": 2, "F32": 4}

# Models whose index is not what their config describes, with the reason.
OTHER_NAMES = {
    "thanhtantran/MiniCPM-V-2_6-llm": "the index of the whole vision-language model under its language model's config",
}
# Models that are not stored in one dtype, their config's.
OTHER_SIZES = {
    "huggyllama/llama-7b": "rotary tables are stored too: 32 layers of 64 float16 elements",
    "FlagAlpha/Atom-7B": "rotary tables are stored too: 32 layers of 64 float32 elements, weights in float16",
    "mlx-community/Qwen3-14B-4bit": "packed to 4 bits with scales",
}
UNDECLARED_QUANTIZATION = {"gptq", "awq", "compressed-tensors", "fbgemm_fp8"}


def _tool() -> Any:
    spec = importlib.util.spec_from_file_location("published", FIXTURES / "published.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


expand = _tool().expand
MODELS = [json.loads(file.read_text()) for file in FILES]
QUANTIZED = [
    m for m in MODELS if (m["config"].get("quantization_config") or {}).get("quant_method") in UNDECLARED_QUANTIZATION
]
DECLARED = [model for model in MODELS if model not in QUANTIZED]
INDEXED = [model for model in DECLARED if model["index"]]


def name_of(model: dict[str, Any]) -> str:
    return str(model["model"])


def slots(model: dict[str, Any], names: set[str] | None = None) -> Any:
    declaration = declare(Config(model["config"]), names)
    assert declaration is not None
    return declaration.slots


def test_the_collection_is_what_we_think_it_is() -> None:
    assert (len(MODELS), len(QUANTIZED), len(INDEXED)) == (63, 7, 25)
    assert {*OTHER_NAMES, *OTHER_SIZES} <= {model["model"] for model in INDEXED}


@pytest.mark.parametrize("model", INDEXED, ids=name_of)
def test_names_are_those_of_the_real_index(model: dict[str, Any]) -> None:
    real = expand(model["index"]["names"])
    declared = slots(model, real)
    every = {name for slot in declared for name in slot.names()}
    required = {name for slot in declared if not slot.stored.optional for name in slot.names()}
    assert required <= real
    if model["model"] in OTHER_NAMES:
        assert not real <= every
    else:
        assert real <= every


@pytest.mark.parametrize("model", INDEXED, ids=name_of)
def test_total_size_is_the_real_one(model: dict[str, Any]) -> None:
    total_size = (model["index"]["metadata"] or {}).get("total_size")
    if total_size is None:
        pytest.skip("its index notes no size")
    if model["model"] in OTHER_NAMES:
        pytest.skip(OTHER_NAMES[model["model"]])
    real = expand(model["index"]["names"])
    stored = [(slot, sum(name in real for name in slot.names())) for slot in slots(model, real)]
    weights = sum(slot.stored.elements * count for slot, count in stored if slot.stored.kind is not Kind.BUFFER)
    buffers = sum(slot.stored.elements * count for slot, count in stored if slot.stored.kind is Kind.BUFFER)
    if model["model"] == "mlx-community/Qwen3-14B-4bit":
        packed = sum(
            s.stored.elements * n
            for s, n in stored
            if s.stored.logical != s.stored.elements and s.stored.kind is Kind.WEIGHT
        )
        assert total_size == 4 * packed + 2 * (weights - packed)
        return
    if model["model"] == "FlagAlpha/Atom-7B":
        assert total_size == 2 * weights + 4 * buffers
        return
    assert total_size == DTYPE_BYTES[Config(model["config"]).dtype or ""] * (weights + buffers)
    assert bool(buffers) is (model["model"] == "huggyllama/llama-7b")


@pytest.mark.parametrize("model", DECLARED, ids=name_of)
def test_count_is_that_of_transformers(model: dict[str, Any]) -> None:
    if model["transformers_parameters"] is None:
        assert model["model"] == "moonshotai/Kimi-K2-Instruct"
        # transformers knows no kimi_k2; read as deepseek_v3 it counts this many.
        expected = 1026408209408
    else:
        expected = model["transformers_parameters"]
    counted = [
        slot.stored.logical * slot.count
        for slot in slots(model)
        if slot.stored.kind in (Kind.WEIGHT, Kind.BIAS) and not slot.auxiliary and not slot.stored.optional
    ]
    assert sum(counted) == expected


@pytest.mark.parametrize(
    "model", [m for m in INDEXED if "total_parameters" in (m["index"]["metadata"] or {})], ids=name_of
)
def test_count_is_the_index_s_own(model: dict[str, Any]) -> None:
    counted = [s.stored.logical * s.count for s in slots(model) if not s.stored.optional]
    assert sum(counted) == model["index"]["metadata"]["total_parameters"]


@pytest.mark.parametrize("model", QUANTIZED, ids=name_of)
def test_undeclared_quantization_is_refused_by_name(model: dict[str, Any]) -> None:
    with pytest.raises(UndeclaredError, match=model["config"]["quantization_config"]["quant_method"]):
        slots(model)


@pytest.mark.parametrize("model", QUANTIZED, ids=name_of)
def test_a_config_alone_is_counted_as_before_quantization(model: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(model["config"]))
    opened = weightscope.open(tmp_path / "config.json")
    assert opened.parameters.total == model["transformers_parameters"]
    (finding,) = opened.summary().findings
    assert (finding.code, finding.severity) == ("unknown-architecture", "info")


# What `check` says above info of a real index beside its config; of all others, nothing.
CHECKED = {"thanhtantran/MiniCPM-V-2_6-llm": ["unexpected-tensor"]}


@pytest.mark.parametrize("model", INDEXED, ids=name_of)
def test_check_of_a_real_index_says_what_is_wrong_and_nothing_else(model: dict[str, Any], tmp_path: Path) -> None:
    names = expand(model["index"]["names"])
    index = {
        "metadata": model["index"]["metadata"],
        "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors"),
    }
    (tmp_path / "config.json").write_text(json.dumps(model["config"]))
    (tmp_path / model["index"]["file"]).write_text(json.dumps(index))
    findings = weightscope.open(tmp_path / model["index"]["file"]).check()
    assert [f.code for f in findings if f.severity != "info"] == CHECKED.get(model["model"], [])


def test_check_of_an_index_sees_a_total_size_that_no_dtype_explains(tmp_path: Path) -> None:
    model = next(m for m in INDEXED if m["model"] == "google/gemma-2b")
    names = expand(model["index"]["names"])
    index = {"metadata": {"total_size": 5012344832 + 2}, "weight_map": dict.fromkeys(names, "a.safetensors")}
    (tmp_path / "config.json").write_text(json.dumps(model["config"]))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (finding,) = weightscope.open(tmp_path / "model.safetensors.index.json").check()
    assert (finding.code, finding.expected, finding.actual) == ("size-mismatch", 5012344834, 5012344832)


def test_deepseek_v3_as_the_hub_counts_it() -> None:
    """Elements by dtype of deepseek-ai/DeepSeek-V3, as the Hugging Face Hub shows them."""
    model = next(m for m in MODELS if m["model"] == "deepseek-ai/DeepSeek-V3-OME")
    fp8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    declared = slots({"config": model["config"] | {"quantization_config": fp8}})
    published = [slot for slot in declared if slot.auxiliary or not slot.stored.optional]
    published = [slot for slot in published if not slot.template.endswith("inv_freq")]
    scaled = {slot.template.removesuffix("_scale_inv") for slot in published if slot.stored.kind is Kind.SCALE}
    elements = {"BF16": 0, "F8_E4M3": 0, "F32": 0}
    for slot in published:
        dtype = (
            "F32" if slot.stored.kind in (Kind.SCALE, Kind.BUFFER) else "F8_E4M3" if slot.template in scaled else "BF16"
        )
        elements[dtype] += slot.stored.elements * slot.count
    assert elements == {"BF16": 3918786560, "F8_E4M3": 680571043840, "F32": 41555600}
    buffers = [slot for slot in published if slot.stored.kind is Kind.BUFFER and not slot.auxiliary]
    assert sum(slot.stored.elements * slot.count for slot in buffers) == 14848
