"""optimum-quanto against what its own modules store and compute (fixtures/quantized), and in whole models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.quantization.bench import (
    Quantized,
    Tensors,
    check_bounds,
    check_every_tensor_matters,
    check_planted_faults,
    check_sound,
    check_stripped,
    difference,
    faults_of,
    llama,
    logits_of,
    mixture,
    quantize,
    write,
)
from tests.quantization.written import MODULE, check_written, told, variants
from weightscope.config import Config
from weightscope.errors import ConfigError
from weightscope.quantization.registry import method_of

VARIANTS = variants("quanto")
ACTIVATIONS = (".input_scale", ".output_scale")


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_what_the_library_stores_and_computes(title: str) -> None:
    check_written(VARIANTS[title], optional=False)


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_told_by_its_tensors(title: str) -> None:
    written = VARIANTS[title]
    found = told(written, "quanto", shape=tuple(written.expected.shape))
    assert found is not None
    torch.testing.assert_close(found[0].read(f"{MODULE}.weight", written.raw), written.expected, rtol=0, atol=0)
    alone = told(written, "quanto")
    assert alone is not None
    assert alone[1][0] * alone[1][1] == written.expected.numel()


class Packer:
    """quanto by its published rules, in groups of 128 where a row has several of them."""

    def __init__(self, bits: int, kind: str = "qint4") -> None:
        self.bits, self.kind = bits, kind
        self.noise = torch.Generator().manual_seed(0)

    def __call__(self, module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        rows, columns = shape
        group = next((n for n in (128, 96, 64, 32) if columns > 128 and columns % n == 0), columns)
        groups = rows * columns // group if self.bits < 8 else rows
        scale = torch.rand(groups, 1, generator=self.noise) / (1 << self.bits) + 0.5 / (1 << self.bits)
        ones = {mark: torch.ones(()) for mark in ACTIVATIONS}
        if self.bits == 8:
            data = torch.randint(-127, 128, shape, generator=self.noise, dtype=torch.int8)
            if self.kind != "qint8":
                data = (data.float() / 16).to(torch.float8_e4m3fn)
            return {".weight._data": data, ".weight._scale": scale, **ones}, data.float() * scale
        per = 8 // self.bits
        codes = torch.randint(0, 1 << self.bits, (-(-groups // per) * per, group), generator=self.noise)
        packed = sum(part << (self.bits * place) for place, part in enumerate(codes.chunk(per)))
        assert isinstance(packed, torch.Tensor)
        shift = torch.rand(groups, 1, generator=self.noise) * 0.3
        weight = codes[:groups].float() * scale - shift
        tensors = {".weight._data._data": packed.to(torch.uint8), ".weight._scale": scale, ".weight._shift": shift}
        return tensors | ones, weight.reshape(rows, columns)


def settings(weights: str, **own: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": "quanto", "weights": weights, "activations": None, **own}}


def quantized(bits: int, kind: str = "qint4", weights: str = "int4") -> Quantized:
    return quantize(llama(), Packer(bits, kind), settings(weights))


FORMS = [(2, "qint2", "int2"), (4, "qint4", "int4"), (8, "qint8", "int8"), (8, "qfloat8", "float8")]


@pytest.mark.parametrize(("bits", "kind", "weights"), FORMS)
def test_models(bits: int, kind: str, weights: str, tmp_path: Path) -> None:
    model = quantized(bits, kind, weights)
    check_sound(model, tmp_path)
    check_stripped(model, tmp_path)


@pytest.mark.parametrize(("bits", "kind", "weights"), FORMS)
def test_a_map_beside_config_json(bits: int, kind: str, weights: str, tmp_path: Path) -> None:
    """Each module that is quantized is named; of a mixture one expert is not."""
    out = "model.layers.1.mlp.experts.1.up_proj"
    model = quantize(
        mixture(), Packer(bits, kind), {}, covers=lambda module: module.endswith("_proj") and module != out
    )
    directory = write(tmp_path / "x", model.tensors, model.config)
    entries = {module: {"weights": kind, "activations": "none"} for module in model.modules}
    (directory / "quanto_qmap.json").write_text(json.dumps(entries))
    opened = weightscope.open(directory)
    assert (opened.parameters.total, opened.summary().model.quantization) == (model.total, "quanto")
    assert [finding for finding in opened.check(values=True) if finding.severity != "info"] == []
    expected = logits_of(model.dense, model.config, tmp_path / "dense")
    assert difference(opened.forward([7, 3, 96, 0, 42, 11]).logits, expected) < 1e-4


def test_every_tensor_matters(tmp_path: Path) -> None:
    for bits, kind, weights in (FORMS[1], FORMS[2]):
        check_every_tensor_matters(quantized(bits, kind, weights), tmp_path, ignored=ACTIVATIONS)


def test_planted_faults(tmp_path: Path) -> None:
    module = "model.layers.1.mlp.down_proj"
    for bits, kind, weights in (FORMS[0], FORMS[2]):
        model = quantized(bits, kind, weights)
        check_planted_faults(model, module, tmp_path, scales=[".weight._scale"], optional=ACTIVATIONS)
        check_bounds(model, module, tmp_path, marks=[".weight._scale"])


def test_modules_left_out(tmp_path: Path) -> None:
    own = settings("int8", modules_to_not_convert=["lm_head", "up_proj"])
    covers = lambda module: module.endswith("_proj") and "up_proj" not in module  # noqa: E731
    model = quantize(llama(), Packer(8, "qint8"), own, covers=covers)
    check_sound(model, tmp_path)
    more = quantized(8, "qint8", "int8").tensors
    assert {f.code for f in faults_of(more, model.config, tmp_path / "more")} == {"quantization-mismatch"}


def test_older_zero_points_are_whole_numbers() -> None:
    """quanto dequantizes these as (code - shift) · scale."""
    written = VARIANTS["row"]
    codes = (written.expected + written.tensors[".weight._shift"]) / written.tensors[".weight._scale"]
    shift = torch.arange(8, dtype=torch.int8)[:, None]
    found = told(written._replace(tensors=written.tensors | {".weight._shift": shift}), "quanto", shape=(8, 96))
    assert found is not None
    read = found[0].read(f"{MODULE}.weight", written._replace(tensors=written.tensors | {".weight._shift": shift}).raw)
    expected = (codes.round() - shift) * written.tensors[".weight._scale"]
    torch.testing.assert_close(read, expected, rtol=0, atol=0)


@pytest.mark.parametrize("own", [{"weights": "int3"}, {"weights": "float4"}])
def test_what_is_not_implemented_is_named(own: dict[str, Any]) -> None:
    method = method_of(Config(settings(**own))).method
    assert method is not None
    assert own["weights"] in method.missing


@pytest.mark.parametrize("entries", [{"a": 5}, {"a": {"weights": 4}}, {"a": []}])
def test_maps_that_cannot_be_are_refused(entries: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        method_of(Config({}), lambda file: entries if file == "quanto_qmap.json" else None)
