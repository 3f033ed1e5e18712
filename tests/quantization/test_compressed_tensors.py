"""compressed-tensors' formats against what the library itself dequantizes (fixtures/quantized), and its targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from weightscope.config import Config
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
    found = method_of(Config({"quantization_config": settings(**given)}))
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
