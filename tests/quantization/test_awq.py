"""AWQ against what AutoAWQ's own modules store and compute (fixtures/quantized), and in whole models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
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
    write,
)
from tests.quantization.written import MODULE, check_written, scheme_of, told, variants, weight_of
from weightscope.config import Config
from weightscope.errors import ConfigError, WeightscopeError
from weightscope.quantization.registry import method_of

VARIANTS = variants("awq")
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}


def test_settings_without_numbers_mean_those_of_the_class() -> None:
    said, usual = {"quant_method": "awq"}, transformers.AwqConfig()
    written = said | {"bits": usual.bits, "group_size": usual.group_size, "zero_point": usual.zero_point}
    bare, full = (method_of(Config({"quantization_config": each})).method for each in (said, written))
    assert bare == full is not None


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_what_the_library_stores_and_computes(title: str) -> None:
    check_written(VARIANTS[title], optional=False)


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_told_by_its_tensors(title: str) -> None:
    """Padded scales fit several sizes of groups: nothing is told of these."""
    written = VARIANTS[title]
    for shape in (None, tuple(written.expected.shape)):
        found = told(written, "awq", "gptq", shape=shape)
        if found is None:
            assert title.startswith("gemv")
            continue
        assert found[1] == tuple(written.expected.shape)
        torch.testing.assert_close(found[0].read(f"{MODULE}.weight", written.raw), written.expected, rtol=0, atol=0)
    assert title.startswith("gemv") or told(written, "awq", "gptq") is not None


def pack(module: str, shape: torch.Size, group: int = 32) -> tuple[Tensors, torch.Tensor]:
    """gemm by its published rules, w = (q - zero) · scale, as float32 computes it."""
    rows, columns = shape
    noise = torch.Generator().manual_seed(sum(map(ord, module)))
    group = group if group > 0 else columns
    codes = torch.randint(0, 16, (columns, rows), generator=noise)
    zeros = torch.randint(0, 16, (columns // group, rows), generator=noise)
    scales = (torch.rand((columns // group, rows), generator=noise) / 32 + 0.005).half()
    weight = (codes - zeros.repeat_interleave(group, 0)) * scales.float().repeat_interleave(group, 0)
    return {".qweight": words(codes), ".qzeros": words(zeros), ".scales": scales}, weight.T.contiguous()


def words(codes: torch.Tensor) -> torch.Tensor:
    """Eight columns to a word, in the order 0, 2, 4, 6, 1, 3, 5, 7."""
    eights = codes.reshape(len(codes), -1, 8)[..., [0, 2, 4, 6, 1, 3, 5, 7]]
    packed = sum(eights[..., place] << (4 * place) for place in range(8))
    assert isinstance(packed, torch.Tensor)
    return torch.where(packed >= 1 << 31, packed - (1 << 32), packed).int()


def settings(**own: Any) -> dict[str, Any]:
    return {"quantization_config": AWQ | own}


def quantized() -> Quantized:
    return quantize(llama(), pack, settings())


def test_models(tmp_path: Path) -> None:
    check_sound(quantized(), tmp_path / "1")
    row = quantize(llama(), lambda module, shape: pack(module, shape, -1), settings(group_size=-1))
    check_sound(row, tmp_path / "2")
    check_sound(quantize(mixture(), pack, settings(modules_to_not_convert=["gate"])), tmp_path / "3")
    check_sound(quantize(mixture(), pack, settings()), tmp_path / "4")


def test_every_tensor_matters(tmp_path: Path) -> None:
    check_every_tensor_matters(quantized(), tmp_path)


def test_planted_faults(tmp_path: Path) -> None:
    module = "model.layers.1.mlp.down_proj"
    check_planted_faults(quantized(), module, tmp_path, scales=[".scales"])
    check_bounds(quantized(), module, tmp_path, marks=[".scales"])


def test_without_settings(tmp_path: Path) -> None:
    check_stripped(quantized(), tmp_path)


def test_settings_of_llm_awq(tmp_path: Path) -> None:
    """w_bit and q_group_size, in config.json or in a file beside it; no version."""
    own = {"zero_point": True, "q_group_size": 32, "w_bit": 4}
    check_sound(
        quantized()._replace(config=quantized().config | {"quantization_config": own | {"quant_method": "awq"}}),
        tmp_path,
    )
    bare = {key: value for key, value in quantized().config.items() if key != "quantization_config"}
    directory = write(tmp_path / "beside", quantized().tensors, bare)
    (directory / "quant_config.json").write_text(
        '{"zero_point": true, "q_group_size": 32, "w_bit": 4, "version": "GEMM"}'
    )
    model = weightscope.open(directory)
    assert (model.parameters.total, model.summary().model.quantization) == (quantized().total, "awq")
    assert [finding.code for finding in model.check() if finding.severity == "error"] == []
    assert model.forward([1, 2, 3]).finite


def test_zero_points_under_another_name() -> None:
    """llm-awq's own modules: gemv_fast's, with `scaled_zeros`."""
    written = VARIANTS["gemv_fast-64"]
    renamed = {mark.replace("qzeros", "scaled_zeros"): tensor for mark, tensor in written.tensors.items()}
    check_written(written._replace(settings=written.settings | {"version": "llm-awq"}, tensors=renamed), optional=False)


def test_modules_left_out(tmp_path: Path) -> None:
    out = ["model.layers.0.self_attn", "up_proj"]
    own = settings(modules_to_not_convert=out)

    def covers(module: str) -> bool:
        return module.endswith("_proj") and "layers.0.self_attn" not in module and "up_proj" not in module

    model = quantize(llama(), pack, own, covers=covers)
    check_sound(model, tmp_path)
    plain = faults_of(model.tensors, model.config | settings(), tmp_path / "plain")
    assert {finding.code for finding in plain} == {"quantization-mismatch"}
    more = quantized().tensors
    unsaid = faults_of(more, model.config, tmp_path / "unsaid")
    assert {finding.code for finding in unsaid} == {"quantization-mismatch"}


def test_a_matrix_that_is_stored_transposed() -> None:
    written = VARIANTS["gemm"]
    method = method_of(Config({"quantization_config": written.settings})).method
    assert method is not None
    scheme = method.scheme(weight_of((128, 32), transposed=True), MODULE)
    assert scheme is not None
    torch.testing.assert_close(scheme.read(f"{MODULE}.weight", written.raw), written.expected.T, rtol=0, atol=0)


def test_tensors_that_contradict_each_other_are_not_computed(tmp_path: Path) -> None:
    name = "model.layers.0.mlp.down_proj.qzeros"
    wrong = quantized().tensors | {name: torch.zeros(3, 8, dtype=torch.int32)}
    with pytest.raises(WeightscopeError, match=r"qzeros.* \[3, 8\].* \[5, 8\]"):
        weightscope.open(write(tmp_path, wrong, quantized().config)).forward([1, 2])


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ({"bits": 3}, "3 bits"), ({"version": "marlin"}, "marlin"),
        ({"version": "gemv", "group_size": 16}, "groups of 16"),
        ({"dynamic": {"(a+)+": {}}}, "(a+)+"),
    ],
)  # fmt: skip
def test_what_is_not_implemented_is_named(own: dict[str, Any], missing: str) -> None:
    method = method_of(Config(settings(**own))).method
    assert method is not None
    assert (method.name, missing in method.missing) == ("awq", True)


@pytest.mark.parametrize(
    "own",
    [
        {"bits": None}, {"bits": 4.0}, {"group_size": "128"}, {"version": 5}, {"zero_point": 1}, {"dynamic": [1]},
        {"modules_to_not_convert": "lm_head"}, {"modules_to_not_convert": [5]},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        method_of(Config(settings(**own)))


def test_words() -> None:
    assert scheme_of(VARIANTS["gemm"]).words == "AWQ, 4 bits in groups of 32, gemm"
    assert scheme_of(VARIANTS["gemm"]).formula == "w = (q - qzeros) · scale of its group"
    assert scheme_of(VARIANTS["gemv_fast-64"]).formula == "w = q · scale + qzeros of its group"
