"""torchao against its own tensors, taken apart and dequantized by it (fixtures/quantized), and in whole models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.quantization.bench import (
    Quantized,
    Tensors,
    check_bounds,
    check_every_tensor_matters,
    check_planted_faults,
    check_sound,
    check_stripped,
    faults_of,
    llama,
    mixture,
    quantize,
)
from tests.quantization.written import MODULE, check_written, told, variants
from weightscope.config import Config
from weightscope.errors import ConfigError
from weightscope.quantization.registry import method_of

VARIANTS = variants("torchao")


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_what_the_library_stores_and_computes(title: str) -> None:
    check_written(VARIANTS[title])


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_told_by_its_tensors(title: str) -> None:
    written = VARIANTS[title]
    for shape in (None, tuple(written.expected.shape)):
        found = told(written, "torchao", shape=shape)
        assert found is not None
        assert found[1] == tuple(written.expected.shape)
        torch.testing.assert_close(found[0].read(f"{MODULE}.weight", written.raw), written.expected, rtol=0, atol=0)


class Packer:
    """int4 by its published rules (mslk's `int4_row_quantize_zp` and `pack_int4`), else int8 or float8 for each row."""

    def __init__(self, kind: str, group: int = 32) -> None:
        self.kind, self.group = kind, group
        self.noise = np.random.default_rng(0)

    def __call__(self, module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        rows, columns = shape
        if self.kind == "int4":
            codes = self.noise.integers(-8, 8, (rows, columns)).astype(np.int8)
            scale, zero = (self.noise.uniform(0.01, 0.04, (columns // self.group, rows)) for _ in range(2))
            packed = (codes[:, ::2] & 15) | (codes[:, 1::2] << 4)
            parts = [torch.from_numpy(part).to(torch.bfloat16) for part in (scale, zero)]
            of, at = (part.T.float().repeat_interleave(self.group, 1) for part in parts)
            weight = torch.from_numpy(codes).float() * of + at
            return {"._weight_qdata": torch.from_numpy(packed), "._weight_scale": parts[0],
                    "._weight_zero_point": parts[1]}, weight  # fmt: skip
        scales = torch.from_numpy(self.noise.uniform(0.001, 0.004, (rows, 1)).astype(np.float32))
        numbers = torch.from_numpy(self.noise.integers(-127, 128, (rows, columns)).astype(np.int8))
        if self.kind == "float8":
            data = (numbers.float() / 2).to(torch.float8_e4m3fn)
            return {"._weight_qdata": data, "._weight_scale": scales}, data.float() * scales
        points = torch.from_numpy(self.noise.integers(-9, 9, (rows, 1)).astype(np.int8))
        weight = (numbers.float() - points.float()) * scales
        return {"._weight_qdata": numbers, "._weight_scale": scales, "._weight_zero_point": points}, weight


# As TorchAoConfig writes them.
CLASSES = {
    "int4": {"_type": "Int4WeightOnlyConfig", "_version": 2, "_data": {
        "group_size": 32, "set_inductor_config": True,
        "int4_packing_format": {"_type": "Int4PackingFormat", "_data": "PLAIN"}}},
    "int8": VARIANTS["int8"].settings["quant_type"]["default"],
    "float8": VARIANTS["float8"].settings["quant_type"]["default"],
}  # fmt: skip


def settings(own: Any, **more: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": "torchao", "quant_type": {"default": own}, **more}}


def quantized(kind: str) -> Quantized:
    return quantize(llama(), Packer(kind), settings(CLASSES[kind]))


@pytest.mark.parametrize("kind", CLASSES)
def test_models(kind: str, tmp_path: Path) -> None:
    model = quantized(kind)
    check_sound(model, tmp_path / "1")
    check_stripped(model, tmp_path / "2")
    check_every_tensor_matters(model, tmp_path / "3", ignored=() if kind == "int4" else ("._weight_zero_point",))
    module = "model.layers.1.mlp.down_proj"
    optional = () if kind == "int4" else ("._weight_zero_point",)
    check_planted_faults(model, module, tmp_path / "4", scales=["._weight_scale"], optional=optional)
    check_bounds(model, module, tmp_path / "5", marks=["._weight_scale"])


def test_zero_points_matter() -> None:
    written = VARIANTS["intx"]
    found = told(written, "torchao")
    assert found is not None
    moved = written.tensors | {"._weight_zero_point": written.tensors["._weight_zero_point"] + 1}
    read = found[0].read(f"{MODULE}.weight", written._replace(tensors=moved).raw)
    assert (read - written.expected).abs().max() > 1e-3


def test_a_mixture_whose_experts_are_modules(tmp_path: Path) -> None:
    check_sound(quantize(mixture(), Packer("int8"), settings(CLASSES["int8"])), tmp_path)


def test_embeddings_too(tmp_path: Path) -> None:
    own = settings(CLASSES["int8"], include_input_output_embeddings=True, untie_embedding_weights=True)
    covers = lambda module: module.endswith(("_proj", "embed_tokens", "lm_head"))  # noqa: E731
    check_sound(quantize(llama(), Packer("int8"), own, covers=covers), tmp_path)


def test_settings_of_single_modules(tmp_path: Path) -> None:
    """Names, patterns, a default; null leaves a module plain."""
    modules = {
        "model.layers.0.self_attn.q_proj": None,
        r"re:model\.layers\.\d\.self_attn\..*": CLASSES["int8"],
        "model.layers.1.mlp.up_proj.weight": CLASSES["float8"],
        "_default": CLASSES["int4"],
    }
    own = settings({"_type": "FqnToConfig", "_version": 1, "_data": {"fqn_to_config": modules}})

    def pack(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        kind = "int8" if "self_attn" in module else "float8" if "1.mlp.up" in module else "int4"
        return Packer(kind)(module, shape)

    covers = lambda module: module.endswith("_proj") and "0.self_attn.q_proj" not in module  # noqa: E731
    model = quantize(llama(), pack, own, covers=covers)
    check_sound(model, tmp_path)
    left = settings(CLASSES["int8"], modules_to_not_convert=["lm_head", "up_proj"])
    assert {f.code for f in faults_of(quantized("int8").tensors, model.config | left, tmp_path / "left")} == {
        "quantization-mismatch"
    }


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ("int4_weight_only", "int4_weight_only"), (None, "None"),
        ({"_type": "NVFP4InferenceConfig", "_data": {}}, "NVFP4"),
        ({"_type": "Int4WeightOnlyConfig", "_data": {"int4_packing_format": "tile_packed_to_4d"}}, "tile_packed"),
        ({"_type": "Int8WeightOnlyConfig", "_data": {"granularity": {"_type": "PerBlock", "_data": {}}}}, "PerBlock"),
    ],
)  # fmt: skip
def test_what_is_not_implemented_is_named(own: Any, missing: str) -> None:
    method = method_of(Config(settings(own))).method
    assert method is not None
    assert missing in method.missing


@pytest.mark.parametrize(
    "own",
    [
        {"_type": "Int8WeightOnlyConfig", "_data": 5}, {"_type": "FqnToConfig", "_data": {"fqn_to_config": [1]}},
        {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": "32"}}, {"_type": "FqnToConfig"},
        {"_type": "Int4WeightOnlyConfig", "_data": {"int4_packing_format": 5}},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(own: Any) -> None:
    with pytest.raises(ConfigError):
        method_of(Config(settings(own)))
