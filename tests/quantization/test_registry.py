"""Which method a config names, and what of it is refused."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from weightscope.config import Config
from weightscope.errors import ConfigError
from weightscope.quantization.registry import method_of, methods

FP8 = {"quant_method": "fp8", "weight_block_size": [4, 8]}


def test_every_file_is_a_method() -> None:
    assert methods() >= {"compressed_tensors", "fbgemm_fp8", "fp8", "mlx", "modelopt", "mxfp4", "mxfp8"}
    for name in methods():
        assert callable(import_module(f"weightscope.quantization.{name}").method)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({}, None),
        ({"quantization_config": None}, None),
        ({"quantization_config": {}}, None),
        ({"quantization_config": FP8}, "fp8"),
        ({"text_config": {"quantization_config": FP8}}, "fp8"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4"),
        ({"quantization": {"bits": 4, "group_size": 64}}, "mlx"),
        ({"quantization": {"bits": 4, "group_size": 64}, "quantization_config": {"bits": 4, "group_size": 64}}, "mlx"),
    ],
)
def test_methods_that_are_implemented(config: dict[str, Any], name: str | None) -> None:
    method = method_of(Config(config)).method
    assert (method and method.name) == name
    assert not (method and method.missing)


@pytest.mark.parametrize(
    ("settings", "name", "missing"),
    [
        ({"quant_method": "gptq", "bits": 5}, "gptq", "5 bits"),
        ({"quant_method": "compressed-tensors", "format": "sparse-24-bitmask"}, "compressed-tensors", "sparse"),
        ({"quant_method": "registry"}, "registry", "registry"),
        ({"quant_method": "common"}, "common", "common"),
        ({"quant_method": 5}, "5", "5"),
        (FP8 | {"modules_to_not_convert": ["(a+)+b"]}, "fp8", "(a+)+b"),
        (FP8 | {"modules_to_not_convert": [".*a.*b.*c.*d"]}, "fp8", ".*a.*b"),
        (FP8 | {"modules_to_not_convert": ["(m|m)(o|o)(d|d)(e|e)(l|l)(a|a)(b|b)(c|c)(d|d)x"]}, "fp8", "(m|m)"),
        (FP8 | {"modules_to_not_convert": ["m?m?m?m?m?m?m?m?m?x"]}, "fp8", "m?m?"),
        ({"bits": 7, "group_size": 64}, "mlx", "7 bits"),
        ({"bits": 4, "group_size": 64, "mode": "mxfp4"}, "mlx", "mxfp4"),
        ({"bits": 4, "group_size": 64, "lm_head": {"bits": 7}}, "mlx", "7 bits"),
        ({"load_in_4bit": True, "load_in_8bit": True}, "bitsandbytes", "both 4 and 8 bits"),
        ({"something": True}, "unknown", "quant_method"),
    ],
)
def test_what_is_not_implemented_is_named(settings: Any, name: str, missing: str) -> None:
    method = method_of(Config({"quantization_config": settings})).method
    assert method is not None
    assert method.name == name
    if missing != "quant_method" or name == "unknown":
        assert missing in method.missing
    assert method.missing


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (FP8 | {"weight_block_size": [0, 8]}, "weight_block_size"),
        (FP8 | {"weight_block_size": "128"}, "weight_block_size"),
        (FP8 | {"modules_to_not_convert": "lm_head"}, "modules_to_not_convert"),
        (FP8 | {"modules_to_not_convert": ["a("]}, "not a regular expression"),
        ("fp8", "fp8"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        method_of(Config({"quantization_config": settings}))


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("hf_quant_config.json", {"quantization": {"quant_algo": "FP8"}}, "modelopt"),
        ("quantize_config.json", {"bits": 4, "group_size": 128}, "gptq"),
        ("quant_config.json", {"w_bit": 4, "q_group_size": 128}, "awq"),
        ("quanto_qmap.json", {"a.b": {"weights": "qint8"}}, "quanto"),
    ],
)
def test_files_beside_config_json_name_a_method_where_it_does_not(
    file: str, content: dict[str, object], name: str
) -> None:
    def files(name: str) -> dict[str, object] | None:
        return content if name == file else None

    method = method_of(Config({}), files).method
    assert method is not None
    assert method.name == name
    named = method_of(Config({"quantization_config": FP8}), files).method
    assert named is not None
    assert named.name == "fp8"


def test_a_quantize_config_of_another_tool_says_nothing() -> None:
    def onnx(name: str) -> dict[str, object] | None:
        return {"per_channel": True, "per_model_config": {}} if name == "quantize_config.json" else None

    assert method_of(Config({}), onnx).method is None


def test_only_the_method_that_is_named_is_imported() -> None:
    code = (
        "import sys; from weightscope.config import Config; from weightscope.quantization.registry import method_of\n"
        "method_of(Config({'quantization_config': {'quant_method': 'mxfp4'}}))\n"
        "print(*(n.rpartition('.')[2] for n in sys.modules if n.startswith('weightscope.quantization.')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"fp8", "mlx", "mxfp4"} & set(run.stdout.split()) == {"mxfp4"}


def test_settings_beside_are_of_the_method_that_they_name() -> None:
    """AutoRound writes quantize_config.json as well, which otherwise is GPTQ's."""
    settings = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "packing_format": "auto_gptq"}
    said = method_of(Config({}), lambda name: settings if name == "quantize_config.json" else None)
    assert said.file == "quantize_config.json"
    assert said.method is not None
    assert said.method.name != "gptq"
