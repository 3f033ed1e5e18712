"""compressed-tensors' formats against what the library itself dequantizes (fixtures/quantized), and its targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from weightscope.config import Config
from weightscope.errors import ConfigError
from weightscope.quantization.common.compressed_told import recognize
from weightscope.quantization.common.method import Method
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Scheme, Stored

FIXTURE = Path(__file__).parents[2] / "fixtures" / "quantized" / "compressed-tensors.safetensors"
Tensors = dict[str, torch.Tensor]


def contents() -> tuple[dict[str, Any], dict[str, Tensors]]:
    """Each variant's config group, and its tensors by the last part of their names."""
    with safe_open(FIXTURE, "pt") as file:
        groups = json.loads(file.metadata()["groups"])
        tensors: dict[str, Tensors] = {name: {} for name in groups}
        for name in file.keys():  # noqa: SIM118 - it is no dict
            variant, leaf = name.split(".")
            tensors[variant][leaf] = file.get_tensor(name)
    return groups, tensors


GROUPS, TENSORS = contents()


def settings(**given: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "quantization_status": "compressed"} | given


def method(**given: Any) -> Method:
    found = method_of(Config({"quantization_config": settings(**given)})).method
    assert found is not None
    return found


def stored(shape: torch.Size | tuple[int, ...], role: Role = Role.UP_PROJ, name: str = "x.weight") -> Stored:
    rows, columns = shape
    return Stored(name=name, shape=(Size(rows), Size(columns)), parts=((role, rows * columns),))


def scheme_of(variant: str) -> Scheme:
    found = method(config_groups={"group_0": GROUPS[variant]}, format="mixed-precision")
    assert not found.missing
    scheme = found.scheme(stored(TENSORS[variant]["expected"].shape), "x")
    assert scheme is not None
    return scheme


def raw_of(tensors: Tensors) -> Any:
    return lambda name: tensors[name.removeprefix("x.")]


@pytest.mark.parametrize("variant", GROUPS)
def test_reads_what_the_library_dequantizes(variant: str) -> None:
    """Scales are float32, or numbers that the library multiplies exactly."""
    tensors = TENSORS[variant]
    read = scheme_of(variant).read("x.weight", raw_of(tensors))
    torch.testing.assert_close(read, tensors["expected"], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("variant", ["pack4-asymmetric", "int8-channel", "fp8-block"])
def test_scales_in_half_precision_are_taken_as_they_are(variant: str, dtype: torch.dtype) -> None:
    """The library rounds the product to the scale's type; we do not."""
    tensors = dict(TENSORS[variant])
    tensors["weight_scale"] = tensors["weight_scale"].to(dtype)
    read = scheme_of(variant).read("x.weight", raw_of(tensors))
    wide = scheme_of(variant).read("x.weight", raw_of(tensors | {"weight_scale": tensors["weight_scale"].float()}))
    torch.testing.assert_close(read, wide, rtol=0, atol=0)
    torch.testing.assert_close(read, tensors["expected"], rtol=2**-8, atol=0)


DTYPES = {
    torch.float32: "F32", torch.float8_e4m3fn: "F8_E4M3", torch.int8: "I8", torch.uint8: "U8", torch.int32: "I32",
    torch.int64: "I64",
}  # fmt: skip


@pytest.mark.parametrize("variant", GROUPS)
def test_expands_to_what_the_library_stores(variant: str) -> None:
    tensors = TENSORS[variant]
    scheme, weight = scheme_of(variant), stored(tensors["expected"].shape)
    parts = {part.name.removeprefix("x."): part for part in scheme.expand(weight)}
    assert {leaf: tuple(part.shape) for leaf, part in parts.items()} == {
        leaf: tuple(tensor.shape) for leaf, tensor in tensors.items() if leaf != "expected"
    }
    assert all(DTYPES[tensors[leaf].dtype] in part.dtypes for leaf, part in parts.items())
    read = scheme.parts("x.weight")
    assert read == tuple(f"x.{leaf}" for leaf in parts)[: len(read)]
    assert all(part.optional for part in list(parts.values())[len(read) :])


@pytest.mark.parametrize("variant", [name for name in GROUPS if name not in ("pack8-tensor", "fp8-block")])
def test_tensors_alone_tell_the_same(variant: str) -> None:
    """Of 8-bit floats the file of `fp8` tells; blocks that are not square are not guessed."""
    from weightscope.checkpoint.entry import TensorEntry
    from weightscope.quantization.fp8 import recognize as recognize_fp8

    tensors = {leaf: tensor for leaf, tensor in TENSORS[variant].items() if leaf != "expected"}
    shape = tuple(TENSORS[variant]["expected"].shape)
    found = {f".{leaf}": TensorEntry(DTYPES[t.dtype], tuple(t.shape), (0, 0)) for leaf, t in tensors.items()}
    told = recognize(found, shape, {}) or recognize_fp8(found, shape, {})
    assert told is not None
    assert told.shape == shape
    read = told.scheme.read("x.weight", raw_of(tensors))
    torch.testing.assert_close(read, TENSORS[variant]["expected"], rtol=0, atol=0)
    assert recognize(found, (shape[0] + 1, shape[1]), {}) is None


GROUP = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"format": "sparse-24-bitmask"}, "sparse"),
        ({"format": "marlin-24"}, "marlin-24"),
        ({"sparsity_config": {"format": "sparse-bitmask"}}, "sparse-bitmask"),
        ({"format": "dense", "quantization_status": "frozen"}, "not compressed"),
        ({"transform_config": {"config_groups": {"R1": {}}}}, "rotated"),
        ({"config_groups": {"FP8_DYNAMIC": ["Linear"]}}, "FP8_DYNAMIC"),
        ({"config_groups": {"g": GROUP | {"weights": {"num_bits": 6, "type": "float", "group_size": 32}}}}, "mxfp6"),
        ({"config_groups": {"g": GROUP | {"format": "of-tomorrow"}}}, "of-tomorrow"),
        ({"config_groups": {"g": GROUP | {"targets": ["re:(a+)+b"]}}}, "(a+)+b"),
        ({"ignore": ["re:.*a.*b.*c.*d"]}, ".*a.*b"),
    ],
)
def test_what_is_not_implemented_is_named(given: dict[str, Any], missing: str) -> None:
    found = method(**({"config_groups": {"g": GROUP}} | given))
    assert found.name == "compressed-tensors"
    assert missing in found.missing
    assert found.scheme(stored((8, 16)), "x") is None


HOSTILE: list[Any] = [0, -1, 2**70, 1.5, "x", "re:(", [], [1], {}, {"a": 1}, True, None, "1x2x3", [0, 1], ["re:["]]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_settings_of_any_type_are_read_or_refused(value: Any) -> None:
    """An error about the config, a method that says what it lacks, or one that works; never anything else."""
    keys = ["format", "config_groups", "ignore", "sparsity_config", "transform_config", "quantization_status"]
    given = [{key: value} for key in keys]
    given += [{"config_groups": {"g": value}}]
    given += [{"config_groups": {"g": GROUP | {key: value}}} for key in ("targets", "weights", "format")]
    given += [{"config_groups": {"g": GROUP | {"input_activations": value}}}]
    weights = ("num_bits", "type", "strategy", "group_size", "block_structure", "symmetric", "actorder", "scale_dtype")
    given += [
        {"config_groups": {"g": GROUP | {"weights": GROUP["weights"] | more | {key: value}}}}  # type: ignore[operator]
        for key in weights
        for more in ({}, {"strategy": "group", "group_size": 8}, {"strategy": "block", "block_structure": [2, 2]})
    ]
    for one in given:
        try:
            found = method(**({"config_groups": {"g": GROUP}, "format": "float-quantized"} | one))
        except ConfigError:
            continue
        weight = stored((8, 16))
        scheme = found.scheme(weight, "x")
        assert scheme is None or (scheme.expand(weight) and scheme.words and scheme.formula)


def test_a_group_of_the_size_of_nothing_real_has_one_scale_a_row() -> None:
    weights = {"num_bits": 4, "type": "int", "group_size": 2**62}
    scheme = method(config_groups={"g": GROUP | {"weights": weights}}).scheme(stored((8, 16)), "x")
    assert scheme is not None
    assert [tuple(part.shape) for part in scheme.expand(stored((8, 16)))] == [(8, 2), (8, 1), (2,)]


NAMES = [
    "lm_head", "model.embed_tokens", "model.layers.0.mlp.up_proj", "model.layers.10.mlp.up_proj",
    "model.layers.0.mlp.gate", "model.layers.1.self_attn.q_proj", "model.layers.1.mlp.experts.3.up_proj",
    "model.layers.1.mlp.experts.13.up_proj",
]  # fmt: skip
LISTS = [
    ["Linear"], ["Embedding"], ["Linear", "Embedding"], ["re:.*mlp.*"], [r"re:model\.layers\.(0|1)\..*"], ["lm_head"],
    ["mlp.up_proj"], ["re:mlp"], [r"re:.*experts\.3\..*"], [r"re:.*layers\.\d+\.mlp\.experts\.\d+\.(up|down)_proj$"],
    ["model.layers.0.mlp.up_proj", "re:.*q_proj", "LlamaAttention"],
]  # fmt: skip


@pytest.mark.parametrize("ignored", [[], *LISTS], ids=str)
@pytest.mark.parametrize("targets", LISTS, ids=str)
def test_modules_are_targeted_as_the_library_matches_them(targets: list[str], ignored: list[str]) -> None:
    """Its rule (utils/match.py): the whole name, `re.match` of a pattern, or the name of the class."""
    import re

    def holds(entries: list[str], module: str, kind: str) -> bool:
        return any(
            re.match(entry[3:], module) is not None if entry.startswith("re:") else entry in (module, kind)
            for entry in entries
        )

    found = method(config_groups={"g": GROUP | {"targets": targets}}, ignore=ignored, format="float-quantized")
    for module in NAMES:
        table = module.endswith("embed_tokens")
        weight = stored((8, 16), Role.TOKEN_EMBEDDING if table else Role.UP_PROJ, f"{module}.weight")
        kind = "Embedding" if table else "Linear"
        wanted = holds(targets, module, kind) and not holds(ignored, module, kind)
        assert (found.scheme(weight, module) is not None) is wanted, module
    # What one layer's experts are asked for once must not differ among them.
    experts = [found.scheme(stored((8, 16)), name) is not None for name in NAMES[-2:]]
    assert len(set(experts)) == 1 or found.singles_out("model.layers.{}.mlp.experts.{}.up_proj")


def test_names_come_before_patterns_and_these_before_classes() -> None:
    groups = {
        "class": GROUP,
        "pattern": GROUP | {"targets": ["re:.*b"], "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"}},
        "name": GROUP | {"targets": ["a.b"], "weights": {"num_bits": 4, "type": "int", "group_size": 8}},
    }
    found = method(config_groups=groups)
    words = [getattr(found.scheme(stored((8, 16)), name), "words", "") for name in ("a.c", "c.b", "a.b")]
    assert words == [
        "FP8 with one scale for each row", "FP8 with one scale", "4-bit integers in groups of 8, symmetric",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        {"quantization_config": {"config_groups": {"g": GROUP}, "format": "float-quantized"}},
        {"compression_config": {"config_groups": {"g": GROUP}, "format": "float-quantized"}},
        {"compression_config": {"quantization_config": {"config_groups": {"g": GROUP}, "format": "float-quantized"}}},
        {"compression_config": {"quant_method": "sparseml", "config_groups": {"g": GROUP}}},
        {"text_config": {"quantization_config": settings(config_groups={"g": GROUP})}},
        {"quantization_config": {"quant_method": "compressed-tensors", "quantization_config": {
            "config_groups": {"g": GROUP}}}},
    ],
)  # fmt: skip
def test_older_spellings_are_found(config: dict[str, Any]) -> None:
    found = method_of(Config(config)).method
    assert found is not None
    assert (found.name, found.missing) == ("compressed-tensors", "")
    assert found.scheme(stored((8, 16)), "x") is not None
    sparse = {key: value | {"sparsity_config": {"format": "sparse-24-bitmask"}} for key, value in config.items()}
    again = method_of(Config(sparse)).method
    assert again is not None
    assert "sparse" in again.missing or "text_config" in config


def test_the_language_model_of_a_wrapper_has_its_own_names() -> None:
    """Kimi-K2.5's settings lie in its text_config and leave out `lm_head`, which is stored below `language_model`."""
    found = method(config_groups={"g": GROUP}, ignore=["lm_head"])
    assert found.scheme(stored((8, 16)), "language_model.lm_head") is None
    assert found.scheme(stored((8, 16)), "language_model.model.up_proj") is not None
