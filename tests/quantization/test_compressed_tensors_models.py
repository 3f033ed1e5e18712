"""Tiny models in compressed-tensors' formats against transformers on the dequantized matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import weightscope
from tests.quantization import bench, compressed
from tests.quantization.bench import Pack, Quantized, Settings
from tests.quantization.test_compressed_tensors import TENSORS

FLOAT8 = {"num_bits": 8, "type": "float", "symmetric": True, "dynamic": False}
INT = {"type": "int", "symmetric": True, "dynamic": False}
DYNAMIC = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True, "symmetric": True}
STATIC = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True}
GROUPED = INT | {"strategy": "group", "group_size": 16}


def config(form: str, weights: Settings, inputs: Settings | None = None, **given: Any) -> Settings:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "output_activations": None}
    return {"quantization_config": {
        "quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed",
        "config_groups": {"group_0": group}, "ignore": ["lm_head", "re:.*mlp.gate$"], "kv_cache_scheme": None,
        "global_compression_ratio": 1.2,
    } | given}  # fmt: skip


FORMS: dict[str, tuple[Pack, Settings, tuple[str, ...]]] = {
    "fp8 rows": (
        compressed.floats("channel"),
        config("float-quantized", FLOAT8 | {"strategy": "channel"}, DYNAMIC),
        (".weight_scale",),
    ),
    "fp8 whole": (
        compressed.floats("tensor", static=True),
        config("naive-quantized", FLOAT8 | {"strategy": "tensor"}, STATIC),
        (".weight_scale",),
    ),
    "int8": (
        compressed.integers(),
        config("int-quantized", INT | {"num_bits": 8, "strategy": "channel"}, DYNAMIC | {"type": "int"}),
        (".weight_scale",),
    ),
    "packed": (
        compressed.packed(4, 16),
        config("pack-quantized", GROUPED | {"num_bits": 4}),
        (".weight_scale",),
    ),
    "packed asymmetric": (
        compressed.packed(3, 16, zeros=True),
        config("pack-quantized", GROUPED | {"num_bits": 3, "symmetric": False}),
        (".weight_scale",),
    ),
    "packed rows": (
        compressed.packed(8, 0),
        config("pack-quantized", INT | {"num_bits": 8, "strategy": "channel", "group_size": -1}),
        (".weight_scale",),
    ),
    "packed ordered": (
        compressed.packed(4, 16, ordered=True),
        config("pack-quantized", GROUPED | {"num_bits": 4, "actorder": "group"}),
        (".weight_scale",),
    ),
    "nvfp4": (
        compressed.fp4(exponents=False),
        config("nvfp4-pack-quantized", FLOAT8 | {"num_bits": 4, "strategy": "tensor_group", "group_size": 16}),
        (".weight_scale", ".weight_global_scale"),
    ),
    "mxfp4": (
        compressed.fp4(exponents=True),
        config("mxfp4-pack-quantized", FLOAT8 | {"num_bits": 4, "strategy": "group", "group_size": 32}),
        (),
    ),
}
# One scale for a matrix of several rows may be stored in either of two shapes.
MODULE = "model.layers.1.mlp.up_proj"


def quantized(form: str, plain: bench.Plain | None = None) -> Quantized:
    pack, settings, _ = FORMS[form]
    return bench.quantize(plain or bench.llama(), pack, settings)


def test_words_are_those_that_the_library_packs() -> None:
    """The codes are what the dequantized matrix is over its scales."""
    for variant, bits in (("pack4-group", 4), ("pack5-channel", 5)):
        found = TENSORS[variant]
        scale = found["weight_scale"].repeat_interleave(found["expected"].shape[1] // found["weight_scale"].shape[1], 1)
        codes = (found["expected"] / scale).round().int().numpy() + (1 << (bits - 1))
        assert np.array_equal(compressed.words(codes, bits), found["weight_packed"].numpy())


@pytest.mark.parametrize("form", FORMS)
def test_models_are_counted_checked_and_computed(form: str, tmp_path: Path) -> None:
    for plain in (bench.llama(), bench.mixture()):
        bench.check_sound(quantized(form, plain), tmp_path / str(plain.total))


@pytest.mark.parametrize("form", FORMS)
def test_every_tensor_matters(form: str, tmp_path: Path) -> None:
    """The shape is only held against the words; the scale of activations is not the weights' affair."""
    bench.check_every_tensor_matters(quantized(form), tmp_path, ignored=(".weight_shape", ".input_scale"))


@pytest.mark.parametrize("form", FORMS)
def test_planted_faults_are_caught(form: str, tmp_path: Path) -> None:
    scales = FORMS[form][2]
    found = quantized(form)
    bench.check_planted_faults(found, MODULE, tmp_path, scales=scales, optional=(".input_scale",))
    bench.check_bounds(found, MODULE, tmp_path, marks=scales)


@pytest.mark.parametrize("form", FORMS)
def test_without_its_settings_a_model_is_told_by_its_tensors(form: str, tmp_path: Path) -> None:
    bench.check_stripped(quantized(form), tmp_path)


def test_values_that_nobody_writes_are_caught(tmp_path: Path) -> None:
    """Groups that are not there, another shape, a global scale that is its own inverse."""
    ordered = quantized("packed ordered")
    bench.check_bounds(ordered, MODULE, tmp_path, marks=[".weight_g_idx"], bad=[-1, 4])
    bench.check_bounds(ordered, MODULE, tmp_path, marks=[".weight_shape"], bad=[63, 161])
    bench.check_bounds(quantized("nvfp4"), MODULE, tmp_path, marks=[".weight_global_scale"], bad=[1 / 900])
    bench.check_bounds(quantized("mxfp4"), MODULE, tmp_path, marks=[".weight_scale"], bad=[255])


@pytest.mark.parametrize(
    ("mark", "change", "said"),
    [
        (".weight_g_idx", lambda t: t + 4, "weight_g_idx has numbers beyond its 4 groups"),
        (".weight_shape", lambda t: t * 2, "weight_shape says 128 columns"),
    ],
)
def test_a_pass_refuses_tensors_that_contradict_each_other(mark: str, change: Any, said: str, tmp_path: Path) -> None:
    found = quantized("packed ordered")
    name = f"{MODULE}{mark}"
    changed = found.tensors | {name: change(found.tensors[name])}
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(bench.write(tmp_path, changed, found.config)).forward(bench.TOKENS)


def test_groups_have_formats_and_modules_of_their_own(tmp_path: Path) -> None:
    """FP8 for attention by a pattern, one module by its name packed, int8 for the class, tables too, two left out."""
    name = "model.layers.0.self_attn.q_proj"
    forms = {"attention": "fp8 rows", "one": "packed", "other": "int8", "table": "packed rows"}
    targets = {
        "attention": [r"re:.*self_attn\.(q|k|v|o)_proj$"], "one": [name], "other": ["Linear"], "table": ["Embedding"],
    }  # fmt: skip
    groups = {
        key: FORMS[form][1]["quantization_config"]["config_groups"]["group_0"]
        | {"targets": targets[key], "format": FORMS[form][1]["quantization_config"]["format"]}
        for key, form in forms.items()
    }
    ignored = ["re:.*layers.1.mlp.down_proj", "model.layers.0.mlp.up_proj"]
    settings = config("mixed-precision", {}, config_groups=groups, ignore=ignored)

    def form_of(module: str) -> str:
        if module == name:
            return forms["one"]
        return forms["attention" if "self_attn" in module else "table" if "embed" in module else "other"]

    def pack(module: str, shape: torch.Size) -> tuple[bench.Tensors, torch.Tensor]:
        return FORMS[form_of(module)][0](module, shape)

    def covers(module: str) -> bool:
        return "norm" not in module and module not in ("model.layers.1.mlp.down_proj", "model.layers.0.mlp.up_proj")

    found = bench.quantize(bench.llama(), pack, settings, covers)
    assert {"lm_head", "model.embed_tokens"} < found.modules.keys()
    bench.check_sound(found, tmp_path)
    # A module that the settings leave out and that is quantized, and one that they cover and that is plain.
    left_out = {k: v for k, v in found.config["quantization_config"].items() if k != "ignore"} | {"ignore": [name]}
    faults = bench.faults_of(found.tensors, found.config | {"quantization_config": left_out}, tmp_path / "other")
    assert {fault.code for fault in faults} == {"quantization-mismatch"}
    assert {tensor for fault in faults for tensor in fault.names} >= {
        f"{name}.weight", "model.layers.1.mlp.down_proj.weight",
    }  # fmt: skip


def test_a_router_may_be_plain_although_linear_layers_are_targeted(tmp_path: Path) -> None:
    """Newer code of transformers has it as a class of its own."""
    pack, settings, _ = FORMS["int8"]
    inner = settings["quantization_config"] | {"ignore": ["lm_head"]}
    bench.check_sound(bench.quantize(bench.mixture(), pack, {"quantization_config": inner}), tmp_path)


def test_scales_of_the_cache_are_nobodys_weights(tmp_path: Path) -> None:
    found = quantized("fp8 rows")
    caches = {f"model.layers.{i}.self_attn.{k}_scale": torch.tensor([0.1]) for i in range(2) for k in "kv"}
    assert bench.faults_of(found.tensors | caches, found.config, tmp_path) == []
    assert weightscope.open(tmp_path).parameters.total == found.total


@pytest.mark.parametrize(
    ("leaf", "tensor"),
    [
        ("weight", torch.ones(160, 64)),
        ("qzeros", torch.zeros(4, 20, dtype=torch.int32)),
        ("weight_g_idx", torch.zeros(64, dtype=torch.int32)),
        ("weight_zero_point", torch.zeros(20, 4, dtype=torch.int32)),
        ("weight_scale_inv", torch.ones(5, 2)),
    ],
)
def test_what_another_method_or_other_settings_left_is_an_error(
    leaf: str, tensor: torch.Tensor, tmp_path: Path
) -> None:
    """A loader would ignore it, and compute another weight than the one that was meant."""
    found = quantized("packed")
    name = f"{MODULE}.{leaf}"
    (fault,) = bench.faults_of(found.tensors | {name: tensor}, found.config, tmp_path)
    assert (fault.code, fault.severity, fault.tensors) == ("quantization-mismatch", "error", (name,))


def test_other_settings_than_the_tensors_were_written_with(tmp_path: Path) -> None:
    """Each is an error, never only a warning."""
    pairs = [
        ("fp8 rows", "int8"), ("packed", "packed rows"), ("nvfp4", "mxfp4"), ("packed asymmetric", "packed"),
        ("packed ordered", "packed"), ("packed", "packed ordered"), ("int8", "fp8 rows"), ("fp8 whole", "fp8 rows"),
        ("mxfp4", "nvfp4"), ("packed", "packed asymmetric"), ("nvfp4", "packed"), ("fp8 rows", "packed"),
    ]  # fmt: skip
    for stored, said in pairs:
        faults = bench.faults_of(quantized(stored).tensors, quantized(said).config, tmp_path)
        errors = {fault.code for fault in faults if fault.severity == "error"}
        assert errors & {"quantization-mismatch", "missing-tensor"}, (stored, said)
        assert weightscope.open(tmp_path).parameters.total == quantized(said).total, (stored, said)


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_a_type_that_is_not_declared_are_counted_by_what_they_stand_for(form: str, tmp_path: Path) -> None:
    found = quantized(form)
    model = weightscope.open(bench.write(tmp_path, found.tensors, found.config | {"model_type": "of_tomorrow"}))
    assert model.parameters.total == found.total
    assert sum(row.parameters for row in model.breakdown("dtype")) == found.total
