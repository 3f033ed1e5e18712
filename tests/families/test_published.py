"""Published models: their configs give the names of their real index files, their real sizes, transformers' count."""

from __future__ import annotations

import importlib.util
import json
from math import prod
from pathlib import Path
from typing import Any

import pytest

import weightscope
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.declaration import declare
from weightscope.quantization.registry import methods
from weightscope.storage.base import Kind

FIXTURES = Path(__file__).parents[2] / "fixtures"
FILES = sorted((FIXTURES / "published").glob("*.json"))
DTYPE_BYTES = {"F16": 2, "BF16": 2, "F32": 4}

# Models whose index is not what their config describes, with the reason.
OTHER_NAMES = {
    "thanhtantran/MiniCPM-V-2_6-llm": "the index of the whole vision-language model under its language model's config",
    "emotibot-inc/Zhuzhi-6B": "lm_head.weight lies beside output_layer.weight, and its total size counts one of them",
}
# Models that are not stored in one dtype, their config's.
OTHER_SIZES = {
    "huggyllama/llama-7b": "rotary tables are stored too: 32 layers of 64 float16 elements",
    "FlagAlpha/Atom-7B": "rotary tables are stored too: 32 layers of 64 float32 elements, weights in float16",
    "mlx-community/Qwen3-14B-4bit": "packed to 4 bits with scales",
    "wangyantong/internlm-chat-7b-ft": "rotary tables are stored too: 32 layers of 64 float32 elements",
    "openpangu/Embedded-7B": "rotary tables are stored too: 34 layers of 64 float32 elements",
}
# Old code stores its rotary tables or masks beside the weights, in their dtype.
BUFFERS = {
    "huggyllama/llama-7b",
    "THUDM/chatglm2-6b",
    "THUDM/codegeex2-6b",
    "emotibot-inc/Zhuzhi-6B",
    "YinghaoHu/LegalHalBench-glm4-9b",
    "Tele-AI/TeleChat-52B",
}
# Their rotary tables are in float32.
WIDE_TABLES = {"FlagAlpha/Atom-7B", "openpangu/Embedded-7B", "wangyantong/internlm-chat-7b-ft"}
# Configs that name no dtype; two bytes an element is what their sizes come to.
NO_DTYPE = {"Qwen/Qwen-72B", "Tele-AI/TeleChat-52B", "Tele-AI/Telechat-7B"}
# Types that transformers does not know: what it counts for the same sizes under a type that it does.
COUNTED_AS = {
    "moonshotai/Kimi-K2-Instruct": ("deepseek_v3", 1026408209408),
    # Of InternViT, its projector and InternLM2, counted by hand: 304,012,288 + 12,595,200 + 1,889,146,880.
    "OpenGVLab/InternVL2-2B-ft": ("internvl", 2205754368),
    # Half of its index's 7,661,331,936 bytes, less the head that is stored besides: 152,681 · 2,048.
    "nvidia/LocateAnything-3B-ft": ("kimi_k25", 3517975280),
    # Its index's own total_parameters.
    "reubzdubz/Molmo-7B-D-NF4": ("molmo2", 8021025280),
    "sgl-project/DeepSeek-V4-Flash-FP8": ("deepseek_v4", 284332230231),
    "Qwen/Qwen-72B": ("qwen2", 72287920128),
    "stvlynn/Qwen-7B-Chat-Cantonese": ("qwen2", 7721324544),
    "Qwen/Qwen-7B-Chat-Int4": ("qwen2", 7721324544),
    "THUDM/chatglm2-6b": ("glm", 6243584000),
    "THUDM/codegeex2-6b": ("glm", 6243584000),
    "emotibot-inc/Zhuzhi-6B": ("glm", 6243584000),
    "YinghaoHu/LegalHalBench-glm4-9b": ("glm", 9399951360),
    "wangyantong/internlm-chat-7b-ft": ("llama", 7321948160),
    "xverse/XVERSE-7B": ("llama", 7299846144),
    "LGAI-EXAONE/EXAONE-3.5-7.8B": ("llama", 7818448896),
    # Half of its index's 16,061,784,576 bytes without the rotary tables: 34 layers of 64 float32.
    "openpangu/Embedded-7B": ("llama", 8030887936),
    "Tele-AI/TeleChat-52B": ("llama", 52832509952),
    # Its config names the activation by a string alone, which transformers does not take.
    "databricks/dbrx-instruct": ("dbrx", 157970307072),
    "tiiuae/falcon-40b": ("falcon", 41303293952),
    # And 30 layers of two biases of 4,096 more.
    "Tele-AI/Telechat-7B": ("llama", 7199772672 + 30 * 2 * 4096),
}
# Under a declared type, with parts that are not.
OTHER_PARTS = {"Qwen/Qwen-VL-Chat-Int4": "Qwen's type with a vision encoder of its own"}
# What public repositories say of all that is stored: weights, buffers, layers that predict ahead, and for one scales.
PUBLISHED = {
    "Qwen/Qwen3-30B-A3B": 30532122624,
    "deepseek-ai/DeepSeek-V2-Lite": 15706484224,
    "deepseek-ai/DeepSeek-V3.2": 685355329792,
    "deepseek-ai/DeepSeek-V4-Pro": 1598839674782,
    "MiniMaxAI/MiniMax-M2.7": 228689764864,
    "zai-org/GLM-4.5": 358337791296,
    "zai-org/GLM-5-FP8": 753910024032,
}
WITH_SCALES = {"zai-org/GLM-5-FP8"}
# GPTQ's writers give every module a bias, and MLX's leave modules plain: the files tell it and not the config.
BIASED = {"Qwen/Qwen-7B-Chat-Int4", "Arp1tMoga/fast_qwen"}
# Bytes of JSON that say how each matrix of 28 layers is packed, of which a declaration counts one.
STATES = {"reubzdubz/Molmo-7B-D-NF4": 28 * (81 + 81 + 82 + 82 - 4)}
# Element types of packed tensors; all others have the config's.
WIDTHS = {
    frozenset({"F32"}): 4,
    frozenset({"I32"}): 4,
    frozenset({"U32"}): 4,
    frozenset({"I64", "I32"}): 4,
    frozenset({"U8"}): 1,
}


def _tool() -> Any:
    spec = importlib.util.spec_from_file_location("published", FIXTURES / "published.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


expand = _tool().expand
MODELS = [json.loads(file.read_text()) for file in FILES]


def _is_only_named(model: dict[str, Any]) -> bool:
    """Whether its quantization has no file."""
    settings = model["config"].get("quantization_config") or {}
    return "quant_method" in settings and settings["quant_method"].replace("-", "_") not in methods()


QUANTIZED = [model for model in MODELS if _is_only_named(model)]
OTHERS = [model for model in MODELS if model["model"] in OTHER_PARTS]
DECLARED = [model for model in MODELS if model not in QUANTIZED and model not in OTHERS]
INDEXED = [model for model in DECLARED if model["index"] and model["model"] not in BIASED]


def name_of(model: dict[str, Any]) -> str:
    return str(model["model"])


def slots(model: dict[str, Any], names: set[str] | None = None) -> Any:
    declaration = declare(Config(model["config"]), names)
    assert declaration is not None
    return declaration.slots


def test_the_collection_is_what_we_think_it_is() -> None:
    assert len(MODELS) == 139
    assert len(INDEXED) == 45
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
    if model["model"] == "thanhtantran/MiniCPM-V-2_6-llm":
        pytest.skip(OTHER_NAMES[model["model"]])
    real = expand(model["index"]["names"])
    stored = [(slot, sum(name in real for name in slot.names())) for slot in slots(model, real)]
    weights = sum(slot.stored.elements * count for slot, count in stored if slot.stored.kind is not Kind.BUFFER)
    buffers = sum(slot.stored.elements * count for slot, count in stored if slot.stored.kind is Kind.BUFFER)
    if any(slot.stored.scheme for slot, _ in stored):
        packed = sum(WIDTHS.get(s.stored.dtypes, 2) * s.stored.elements * n for s, n in stored)
        assert total_size == packed + STATES.get(model["model"], 0)
        return
    if model["model"] in WIDE_TABLES:
        assert total_size == 2 * weights + 4 * buffers
        return
    dtype = Config(model["config"]).dtype
    assert (dtype is None) is (model["model"] in NO_DTYPE)
    assert total_size == DTYPE_BYTES[dtype or "BF16"] * (weights + buffers)
    assert bool(buffers) is (model["model"] in BUFFERS)


@pytest.mark.parametrize("model", DECLARED, ids=name_of)
def test_count_is_that_of_transformers(model: dict[str, Any]) -> None:
    assert (model["transformers_parameters"] is None) is (model["model"] in COUNTED_AS)
    expected = model["transformers_parameters"] or COUNTED_AS[model["model"]][1]
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
    weights = [s for s in slots(model) if not s.stored.optional and s.stored.kind is not Kind.SCALE]
    counted = [s.stored.logical * s.count for s in weights]
    assert sum(counted) == model["index"]["metadata"]["total_parameters"]


@pytest.mark.parametrize("model", [m for m in DECLARED if m["model"] in PUBLISHED], ids=name_of)
def test_all_that_is_stored_is_what_its_repository_says(model: dict[str, Any]) -> None:
    stored = [slot for slot in slots(model) if not slot.stored.optional]
    counted = [s.stored.logical * s.count for s in stored if s.stored.kind is not Kind.SCALE]
    scales = [s.stored.elements * s.count for s in stored if s.stored.kind is Kind.SCALE]
    assert sum(counted) + (sum(scales) if model["model"] in WITH_SCALES else 0) == PUBLISHED[model["model"]]


@pytest.mark.parametrize("model", QUANTIZED, ids=name_of)
def test_quantization_that_is_not_implemented_is_named(model: dict[str, Any]) -> None:
    declaration = declare(Config(model["config"]))
    assert declaration is not None
    assert declaration.method is not None
    assert declaration.method.name == model["config"]["quantization_config"]["quant_method"]
    assert declaration.method.name in declaration.method.missing


@pytest.mark.parametrize("model", OTHERS, ids=name_of)
def test_parts_that_no_family_declares_are_refused_by_name(model: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UndeclaredError, match="visual"):
        slots(model)
    (tmp_path / "config.json").write_text(json.dumps(model["config"]))
    with pytest.raises(weightscope.WeightscopeError):
        weightscope.open(tmp_path / "config.json")


@pytest.mark.parametrize("model", [m for m in MODELS if m["model"] in BIASED], ids=name_of)
def test_an_index_of_quantized_weights_is_counted_by_what_they_stand_for(model: dict[str, Any], tmp_path: Path) -> None:
    """Names alone: all are recognized, counted as the model before it was quantized, and as large as the index says."""
    names = expand(model["index"]["names"])
    index = {
        "metadata": model["index"]["metadata"],
        "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors"),
    }
    (tmp_path / "config.json").write_text(json.dumps(model["config"]))
    (tmp_path / model["index"]["file"]).write_text(json.dumps(index))
    opened = weightscope.open(tmp_path / model["index"]["file"])
    assert opened.summary().tensors.unrecognized == ()
    assert opened.parameters.total == (model["transformers_parameters"] or COUNTED_AS[model["model"]][1])
    stored = [(WIDTHS.get(g.dtypes, 2), prod(s), n) for g in opened.inventory.groups for (_, s), n in g.counts.items()]
    assert sum(width * elements * count for width, elements, count in stored) == index["metadata"]["total_size"]
    assert [f.code for f in opened.check() if f.severity != "info"] == []


@pytest.mark.parametrize("model", QUANTIZED, ids=name_of)
def test_a_config_alone_is_counted_as_before_quantization(model: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(model["config"]))
    opened = weightscope.open(tmp_path / "config.json")
    assert opened.parameters.total == (model["transformers_parameters"] or COUNTED_AS[model["model"]][1])
    (finding,) = opened.summary().findings
    assert (finding.code, finding.severity) == ("unknown-architecture", "info")


# What `check` says above info of a real index beside its config; of all others, nothing.
CHECKED = {
    "thanhtantran/MiniCPM-V-2_6-llm": ["unexpected-tensor"],
    "emotibot-inc/Zhuzhi-6B": ["unexpected-tensor"],
}


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
