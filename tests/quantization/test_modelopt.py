"""ModelOpt's forms as it exports them (fixtures/quantized/make_modelopt.py), and its settings in all their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import weightscope
from tests.quantization.bench import (
    TOKENS,
    TOLERANCE,
    Quantized,
    Tensors,
    check_bounds,
    check_planted_faults,
    difference,
    faults_of,
    logits_of,
    mixture,
    perturbed,
    quantize,
    write,
)
from weightscope.config import Config
from weightscope.errors import ConfigError, WeightscopeError
from weightscope.quantization.common.wildcards import Wildcards
from weightscope.quantization.modelopt import ModelOpt
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Stored

FIXTURES = Path(__file__).parents[2] / "fixtures" / "quantized" / "modelopt"
NAMES = sorted(path.name for path in FIXTURES.iterdir())
# By hand, from the table of OCP's Microscaling Formats 1.0, section 5.3.3.
FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


class Export:
    """A fixture: its tensors, config.json, hf_quant_config.json, and what ModelOpt's unpackers give."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = FIXTURES / name
        self.stored = load_file(self.directory / "model.safetensors")
        self.config: dict[str, Any] = json.loads((self.directory / "config.json").read_text())
        self.beside: dict[str, Any] = json.loads((self.directory / "hf_quant_config.json").read_text())
        if name == "fp8-blocks":
            # ModelOpt does not write it, because its users know 128 alone.
            self.beside["quantization"]["group_size"] = self.config["quantization_config"]["group_size"] = 16
        self.expected = load_file(self.directory / "expected.safetensors")

    @property
    def modules(self) -> dict[str, tuple[str, ...]]:
        marks = ("weight", "weight_scale", "weight_scale_2", "pre_quant_scale")
        names = [name.removesuffix(".weight_scale") for name in self.stored if name.endswith(".weight_scale")]
        return {m: tuple(f".{mark}" for mark in marks if f"{m}.{mark}" in self.stored) for m in names}

    def dense(self, *, used: bool) -> Tensors:
        """The plain model in float32; a matrix that is `used` has its input's scale in its columns."""
        found = {name: t for name, t in self.stored.items() if name.endswith(("weight", "bias"))}
        for module in self.modules:
            matrix = dense_of(self.stored, module)
            before = self.stored.get(f"{module}.pre_quant_scale")
            found[f"{module}.weight"] = matrix if before is None or not used else matrix * before
        return found

    def open(self, directory: Path, changed: Tensors | None = None) -> weightscope.Model:
        """The export, with some tensors changed."""
        write(directory, self.stored | (changed or {}), self.config)
        (directory / "hf_quant_config.json").write_text(json.dumps(self.beside))
        return weightscope.open(directory)

    def bench(self) -> Quantized:
        return Quantized(self.stored, self.dense(used=True), self.config, self.modules, 0)


def dense_of(stored: Tensors, module: str) -> torch.Tensor:
    """A matrix by ModelOpt's published rules."""
    weight, scale = stored[f"{module}.weight"], stored[f"{module}.weight_scale"]
    whole = stored.get(f"{module}.weight_scale_2", torch.ones(()))
    rounded = weight.dtype is torch.uint8 and scale.dtype is torch.float32 and f"{module}.weight_scale_2" in stored
    multiplied = scale.float() if rounded else scale.float() * whole
    factors = torch.exp2(scale.float() - 127) if scale.dtype is torch.uint8 else multiplied
    if weight.dtype is torch.uint8:
        low, high = weight & 15, weight >> 4
        if scale.is_floating_point() and scale.dtype is torch.float32:
            codes = torch.stack((low, high), dim=1).flatten(0, 1).float()
            values = codes - 16 * (codes > 7)
        else:
            values = FP4[torch.stack((low, high), dim=-1).flatten(-2).int()]
    else:
        values = weight.float()
    rows, columns = values.shape
    factors = factors[:, 0, :, 0] if factors.dim() == 4 else factors
    factors = factors.reshape(rows, 1) if factors.shape == (rows,) else factors
    if factors.dim() == 2:
        factors = factors.repeat_interleave(rows // len(factors), dim=0)
        factors = factors.repeat_interleave(columns // factors.shape[1], dim=1)
    matrix = values * factors
    return (matrix / whole).to(torch.float8_e4m3fn).float() * whole if rounded else matrix


@pytest.fixture(params=NAMES)
def export(request: pytest.FixtureRequest) -> Export:
    return Export(request.param)


def test_reads_what_modelopt_dequantizes(export: Export, tmp_path: Path) -> None:
    model = export.open(tmp_path)
    assert model.declaration is not None
    for name, expected in export.expected.items():
        scheme = model.declaration.schemes.of(name)
        assert scheme is not None
        # Its quantizers multiply by the inverse of 448 over the largest weight; a file has the inverse, rounded.
        rtol = 2e-7 if export.name == "w4a8-awq" else 0
        read = scheme.read(name, export.stored.__getitem__)
        torch.testing.assert_close(read, expected, rtol=rtol, atol=0)
        torch.testing.assert_close(dense_of(export.stored, name.removesuffix(".weight")), expected, rtol=rtol, atol=0)
        torch.testing.assert_close(
            torch.from_numpy(model.tensors[name].numpy(dequantize=True)), expected, rtol=rtol, atol=0
        )


@pytest.mark.parametrize("place", ["both", "config.json", "hf_quant_config.json"])
def test_exports_are_counted_checked_and_computed(export: Export, place: str, tmp_path: Path) -> None:
    """Wherever the settings are; w acts on x · pre_quant_scale."""
    config = dict(export.config)
    if place == "hf_quant_config.json":
        config.pop("quantization_config")
    if place != "config.json":
        (tmp_path / "hf_quant_config.json").write_text(json.dumps(export.beside))
    if place == "config.json" and export.name in ("int4-awq", "w4a8-awq"):
        pytest.skip("ModelOpt 0.47 leaves the size of INT4's groups out of config.json")
    model = weightscope.open(write(tmp_path, export.stored, config))
    assert [finding for finding in model.check(values=True) if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    assert model.summary().model.quantization == "modelopt"
    dense = export.dense(used=True)
    plain = {key: value for key, value in export.config.items() if key != "quantization_config"}
    assert model.parameters.total == weightscope.open(write(tmp_path / "plain", dense, plain)).parameters.total
    assert difference(model.forward(TOKENS).logits, logits_of(dense, plain, tmp_path / "dense")) < TOLERANCE


def test_every_tensor_matters(export: Export, tmp_path: Path) -> None:
    expected = export.open(tmp_path).forward(TOKENS).logits
    for module in [m for m in export.modules if m.endswith(("v_proj", "o_proj", "mlp.down_proj", "0.up_proj"))]:
        for mark in export.modules[module]:
            name = f"{module}{mark}"
            tensor = export.stored[name]
            # All groups may have one exponent.
            exponents = mark == ".weight_scale" and tensor.dtype is torch.uint8
            # FP8 rounds in the same places with twice the scale, and saturates with a third of it.
            rounds = mark == ".weight_scale_2" and export.name == "w4a8-awq"
            changed = {name: tensor + 1 if exponents else tensor / 3 if rounds else perturbed(tensor)}
            assert difference(export.open(tmp_path, changed).forward(TOKENS).logits, expected) > 20 * TOLERANCE, name


@pytest.mark.parametrize("name", ["fp8", "nvfp4", "mxfp8", "fp8-channel"])
def test_planted_faults(name: str, tmp_path: Path) -> None:
    export = Export(name)
    module = "model.layers.0.mlp.down_proj"
    scales = [mark for mark in export.modules[module] if "scale" in mark and name != "mxfp8"]
    check_planted_faults(export.bench(), module, tmp_path, scales=scales, optional=[".input_scale"])
    check_bounds(export.bench(), module, tmp_path, marks=scales)


def test_a_global_scale_that_is_inverted_or_lost(tmp_path: Path) -> None:
    export = Export("nvfp4")
    name = "model.layers.0.mlp.up_proj.weight_scale_2"
    for value in (1 / export.stored[name], torch.zeros(()), -export.stored[name], torch.tensor(torch.inf)):
        found = faults_of(export.stored | {name: value}, export.config, tmp_path, values=True)
        assert [name in tuple(finding.names) for finding in found] == [True], value


def test_modules_otherwise_than_the_config_says(tmp_path: Path) -> None:
    """One plain that it quantizes, one quantized that it leaves out."""
    export = Export("nvfp4")
    module = "model.layers.0.mlp.up_proj"
    plain = {name: tensor for name, tensor in export.stored.items() if not name.startswith(module)}
    found = faults_of(plain | {f"{module}.weight": dense_of(export.stored, module)}, export.config, tmp_path)
    assert [(finding.code, finding.tensors) for finding in found] == [("quantization-mismatch", (f"{module}.weight",))]
    config = json.loads(json.dumps(export.config))
    config["quantization_config"]["ignore"].append("*.up_proj")
    found = faults_of(export.stored, config, tmp_path)
    assert [(finding.code, finding.tensors) for finding in found] == [("quantization-mismatch", (f"{module}.weight",))]


@pytest.mark.parametrize(
    "name", ["fp8", "fp8-channel", "nvfp4", "w4a16-nvfp4", "mxfp4", "mxfp8", "mixture-nvfp4", "int4-awq", "w4a8-awq"]
)
def test_settings_that_are_lost(name: str, tmp_path: Path) -> None:
    export = Export(name)
    stripped = {key: value for key, value in export.config.items() if key != "quantization_config"}
    model = weightscope.open(write(tmp_path, export.stored, stripped))
    assert model.parameters.total == weightscope.open(export.directory).parameters.total
    assert {finding.code for finding in model.check() if finding.severity == "error"} == {"quantization-mismatch"}
    expected = weightscope.open(export.directory).forward(TOKENS).logits
    assert difference(model.forward(TOKENS).logits, expected) < TOLERANCE


def of_tomorrow(export: Export, folder: Path, changed: Tensors | None = None) -> Path:
    """An export under the name of a method that nobody knows yet."""
    settings = export.config["quantization_config"] | {"quant_algo": "OF_TOMORROW"}
    return write(folder, export.stored | (changed or {}), export.config | {"quantization_config": settings})


def test_a_method_that_is_named_alone(tmp_path: Path) -> None:
    model = weightscope.open(of_tomorrow(Export("int4-awq"), tmp_path))
    assert model.parameters.total == weightscope.open(FIXTURES / "int4-awq").parameters.total
    (finding,) = [finding for finding in model.check() if finding.severity != "info"]
    assert (finding.code, finding.severity) == ("unknown-architecture", "warning")
    assert "OF_TOMORROW" in finding.message
    with pytest.raises(WeightscopeError, match="modelopt"):
        model.forward(TOKENS)


def nvfp4(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
    """Codes over their whole range, by ModelOpt's published rules; an AWQ's vector beside it."""
    draw = torch.Generator().manual_seed(len(module))
    rows, columns = shape
    parts = {
        ".weight": torch.randint(0, 256, (rows, columns // 2), dtype=torch.uint8, generator=draw),
        ".weight_scale": torch.randint(40, 60, (rows, columns // 16), dtype=torch.uint8, generator=draw).view(
            torch.float8_e4m3fn
        ),
        ".weight_scale_2": torch.tensor(0.25),
        ".pre_quant_scale": torch.rand(columns, generator=draw) + 0.5,
    }
    matrix = dense_of({f"x{mark}": part for mark, part in parts.items()}, "x")
    return parts, matrix * parts[".pre_quant_scale"]


def test_nvfp4_awq_of_a_mixture(tmp_path: Path) -> None:
    settings = {
        "quantization_config": {
            "quant_method": "modelopt",
            "quant_algo": "NVFP4_AWQ",
            "group_size": 16,
            "ignore": ["lm_head"],
        }
    }
    quantized = quantize(mixture(), nvfp4, settings)
    model = weightscope.open(write(tmp_path, quantized.tensors, quantized.config))
    assert model.parameters.total == quantized.total
    assert [finding for finding in model.check(values=True) if finding.severity != "info"] == []
    expected = logits_of(quantized.dense, quantized.config, tmp_path / "dense")
    assert difference(model.forward(TOKENS).logits, expected) < TOLERANCE


def weight(name: str, *shape: int, role: Role = Role.UP_PROJ) -> Stored:
    elements = 1
    for size in shape:
        elements *= size
    return Stored(name=name, shape=tuple(map(Size, shape)), parts=((role, elements),))


def words_of(
    settings: dict[str, Any], module: str = "model.layers.3.mlp.up_proj", role: Role = Role.UP_PROJ
) -> str | None:
    method = method_of(Config({"quantization_config": settings})).method
    assert isinstance(method, ModelOpt)
    scheme = method.scheme(weight(f"{module}.weight", 64, 64, role=role), module)
    return scheme.words if scheme else None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"quant_algo": "FP8"}, "FP8 with one scale"),
        ({"quant_algo": "fp8_pb_wo"}, "FP8 in blocks of 128 × 128"),
        ({"quant_method": "modelopt_fp4", "quant_algo": "W4A8_NVFP4_FP8"}, "NVFP4 in groups of 16"),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "NVFP4"}}, "NVFP4 in groups of 16"),
        ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}, "FP8 with one scale"),
        ({"quant_algo": "W4A8_MXFP4_FP8"}, "MXFP4 in groups of 32"),
        ({"quant_algo": "FP8", "exclude_modules": ["model.layers.3.*"]}, None),
        ({"quant_algo": "FP8", "ignore": ["*layers.[0-2].*"]}, "FP8 with one scale"),
        ({"quant_algo": "FP8", "ignore": ["model.layers.3"]}, "FP8 with one scale"),
        ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {"model.layers.3": {"quant_algo": "NVFP4"}}},
         "NVFP4 in groups of 16"),
        ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {"model.layers.2": {"quant_algo": "NVFP4"}}}, None),
        ({"quant_method": "modelopt", "config_groups": {
            "a": {"weights": {"num_bits": 8, "type": "float"}, "targets": ["Linear"]}}}, "FP8 with one scale"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "config_groups": {
            "a": {"weights": {"num_bits": 4, "type": "float", "group_size": 16},
                  "targets": ["model.layers.3.mlp.up_proj"]}}}, "NVFP4 in groups of 16"),
    ],
)  # fmt: skip
def test_settings_in_all_their_places(settings: dict[str, Any], words: str | None) -> None:
    assert words_of(settings) == words


def test_what_deepseek_v4_keeps_in_fp8_around_its_experts() -> None:
    """As nvidia/DeepSeek-V4-Pro-NVFP4 has it."""
    settings = {
        "quant_method": "fp8", "quant_algo": "MIXED_PRECISION", "moe_quant_algo": "NVFP4", "group_size": 16,
        "weight_block_size": [128, 128], "scale_fmt": "ue8m0", "ignore": ["*.attn.*", "*.ffn.shared_experts.*", "head"],
        "quantized_layers": {"layers.3.ffn.experts": {"quant_algo": "NVFP4", "group_size": 16}},
    }  # fmt: skip
    blocks = "FP8 in blocks of 128 × 128"
    assert words_of(settings, "layers.3.ffn.experts.7.w1") == "NVFP4 in groups of 16"
    assert words_of(settings, "layers.3.ffn.shared_experts.w1") == blocks
    assert words_of(settings, "layers.3.attn.wq_a", Role.Q_A_PROJ) == blocks
    del settings["quantized_layers"], settings["quant_algo"]
    assert words_of(settings, "layers.3.ffn.experts.7.w1") == "NVFP4 in groups of 16"
    assert words_of(settings, "layers.3.attn.wq_a", Role.Q_A_PROJ) == blocks


@pytest.mark.parametrize("algorithm", [None, "NVFP4_SVD", "of tomorrow"])
def test_what_is_not_implemented_is_named(algorithm: str | None) -> None:
    settings = {"quant_method": "modelopt"} | ({"quant_algo": algorithm} if algorithm else {})
    method = method_of(Config({"quantization_config": settings})).method
    assert method is not None
    assert (algorithm or "without quant_algo").upper() in method.missing.upper()


def test_a_quantized_cache_alone_leaves_the_weights_plain() -> None:
    settings = {"quant_method": "modelopt", "quant_algo": None, "kv_cache_quant_algo": "FP8"}
    assert method_of(Config({"quantization_config": settings})).method is None


@pytest.mark.parametrize(
    "settings",
    [{"quant_algo": 5}, {"quant_algo": ["FP8"]}, {"quant_algo": "NVFP4", "group_size": "16"},
     {"quant_algo": "NVFP4", "group_size": -1}, {"quant_algo": "FP8", "ignore": "lm_head"},
     {"quant_algo": "FP8", "exclude_modules": [5]}, {"quant_algo": "MIXED_PRECISION", "quantized_layers": []},
     {"quant_algo": "MIXED_PRECISION", "quantized_layers": {"a": "FP8"}},
     {"quant_algo": "MIXED_PRECISION", "quantized_layers": {"a": {"quant_algo": {}}}},
     {"quant_algo": "FP8", "config_groups": [1]}, {"quant_algo": "FP8", "config_groups": {"a": 1}},
     {"quant_algo": "FP8", "config_groups": {"a": {"targets": "Linear"}}}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        method_of(Config({"quantization_config": {"quant_method": "modelopt"} | settings}))


def test_wildcards_are_those_of_fnmatch() -> None:
    from fnmatch import fnmatchcase

    entries = ["lm_head", "a.b*", "*.gate", "*.router.*", "a.[0-2].x", "c.?.d", "a.*.q_proj", "*", "**", "x*y*z"]
    names = [
        "lm_head",
        "a.b",
        "a.bc.d",
        "x.gate",
        "x.gates",
        "m.router.w",
        "a.1.x",
        "a.3.x",
        "c.5.d",
        "c.55.d",
        "xyz",
        "",
    ]
    for entry in entries:
        found = Wildcards.of(Config({}), "ignore", [entry])
        assert [found.holds(name) for name in names] == [fnmatchcase(name, entry) for name in names], entry


@pytest.mark.parametrize(
    ("entry", "alone"),
    [("m.3.e.1", True), ("m.3.e.1*", True), ("m.3*", False), ("m.3.e.*", False), ("*.e.2", True), ("*.e.*", False),
     ("m.*.e.2", True), ("*.2.*", True)],
)  # fmt: skip
def test_single_experts_are_asked_for_only_where_an_entry_may_mean_them(entry: str, alone: bool) -> None:
    found = Wildcards.of(Config({}), "ignore", [entry])
    assert found.singles_out("m.{}.e.{}") is alone
    assert not found.singles_out("m.{}")


def test_too_many_patterns_are_named() -> None:
    settings = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": [f"a.{i}?" for i in range(300)]}
    method = method_of(Config({"quantization_config": settings})).method
    assert method is not None
    assert "256 patterns" in method.missing


@pytest.mark.parametrize("group", [0, 16])
def test_stacked_experts(group: int) -> None:
    """As Llama 4's are exported, (experts, in, out): packed along what they see of x, one scale or one an expert."""
    draw = torch.Generator().manual_seed(0)
    settings = {"quant_method": "modelopt", "quant_algo": "NVFP4" if group else "FP8"}
    method = method_of(Config({"quantization_config": settings})).method
    assert method is not None
    name = "m.experts.gate_up_proj"
    stack = weight(name, 3, 32, 10)
    scheme = method.scheme(stack, name)
    assert scheme is not None
    whole = torch.rand(3, generator=draw)
    if group:
        packed = torch.randint(0, 256, (3, 16, 10), dtype=torch.uint8, generator=draw)
        scale = torch.randint(40, 60, (3, 2, 10), dtype=torch.uint8, generator=draw).view(torch.float8_e4m3fn)
        codes = FP4[torch.stack((packed & 15, packed >> 4), dim=2).flatten(1, 2).int()]
        expected = codes * (scale.float() * whole[:, None, None]).repeat_interleave(16, dim=1)
        tensors = {name: packed, f"{name}_weight_scale": scale, f"{name}_weight_scale_2": whole}
    else:
        packed = torch.randint(0, 127, (3, 32, 10), dtype=torch.uint8, generator=draw).view(torch.float8_e4m3fn)
        expected = packed.float() * whole[:, None, None]
        tensors = {name: packed, f"{name}_weight_scale": whole}
    torch.testing.assert_close(scheme.read(name, tensors.__getitem__), expected, rtol=0, atol=0)
    for part in scheme.expand(stack):
        shapes = {part.shape, *part.also}
        assert part.optional or tuple(tensors[part.name].shape) in shapes


def test_tens_of_thousands_of_layers_are_asked_in_no_time() -> None:
    import time

    layers = {
        f"m.layers.{i}.e.{j}.up": {"quant_algo": "NVFP4", "group_size": 16} for i in range(60) for j in range(500)
    }
    ignore = [f"m.layers.{i}.self_attn.{k}*" for i in range(60) for k in "qkvo"]
    settings = {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers, "ignore": ignore}
    start = time.process_time()
    method = method_of(Config({"quantization_config": settings})).method
    assert method is not None
    assert not method.singles_out("m.layers.{}.e.{}.up")
    stored = weight("m.layers.{}.e.{}.up.weight", 64, 64)
    assert all(method.scheme(stored, name) for name in layers)
    assert time.process_time() - start < 2
