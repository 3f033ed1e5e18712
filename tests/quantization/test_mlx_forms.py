"""Every form of MLX's quantization against MLX itself, and models as mlx-lm converts them (make_mlx.py)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

import weightscope
from tests.quantization.bench import (
    TOKENS,
    TOLERANCE,
    Tensors,
    difference,
    faults_of,
    logits_of,
    perturbed,
    with_value,
    write,
)
from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.quantization.mlx import recognize
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Scheme, Stored

FIXTURES = Path(__file__).parents[2] / "fixtures" / "quantized" / "mlx"
UNITS = load_file(FIXTURES / "units.safetensors")
FORMS = sorted({name.partition(".")[0] for name in UNITS})
MODELS = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())
# By hand, from the table of OCP's Microscaling Formats 1.0, section 5.3.3.
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def settings_of(form: str) -> dict[str, Any]:
    kind, *rest = form.split("-")
    if kind == "affine":
        return {"bits": int(rest[0]), "group_size": int(rest[1])}
    bits, group = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}[form]
    return {"bits": bits, "group_size": group, "mode": form}


def scheme_of(form: str, shape: tuple[int, ...]) -> tuple[Scheme, Stored]:
    method = method_of(Config({"quantization": settings_of(form)})).method
    assert method is not None
    weight = Stored(name="x.weight", shape=tuple(map(Size, shape)), parts=((Role.UP_PROJ, int(np.prod(shape))),))
    scheme = method.scheme(weight, "x")
    assert scheme is not None
    return scheme, weight


def parts_of(form: str) -> Tensors:
    parts = {name.removeprefix(f"{form}."): tensor for name, tensor in UNITS.items() if name.startswith(f"{form}.")}
    return {f"x.{leaf}": tensor for leaf, tensor in parts.items() if leaf != "expected"}


@pytest.mark.parametrize("form", FORMS)
def test_what_mlx_dequantizes(form: str) -> None:
    """Exactly for floats; affine within the rounding of one product, which MLX fuses with the sum."""
    parts, expected = parts_of(form), UNITS[f"{form}.expected"]
    scheme, weight = scheme_of(form, tuple(expected.shape))
    assert scheme.parts("x.weight") == tuple(part.name for part in scheme.expand(weight))
    assert {part.name: tuple(part.shape) for part in scheme.expand(weight)} == {
        n: tuple(t.shape) for n, t in parts.items()
    }
    read = scheme.read("x.weight", parts.__getitem__)
    rounding = 1e-6 if form.startswith("affine") else 0
    torch.testing.assert_close(read, expected, rtol=rounding, atol=rounding)
    some = scheme.read("x.weight", lambda name: parts[name][1:2])
    torch.testing.assert_close(some, read[1:2], rtol=0, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_stacks_are_read_as_their_matrices_are(form: str) -> None:
    parts, expected = parts_of(form), UNITS[f"{form}.expected"]
    twice = {name: torch.stack((tensor, tensor.flip(0))) for name, tensor in parts.items()}
    scheme, weight = scheme_of(form, (2, *expected.shape))
    assert {part.name: tuple(part.shape) for part in scheme.expand(weight)} == {
        n: tuple(t.shape) for n, t in twice.items()
    }
    read = scheme.read("x.weight", twice.__getitem__)
    torch.testing.assert_close(read, torch.stack((expected, expected.flip(0))), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_the_tensors_tell_the_form(form: str) -> None:
    """With the declared shape or the config's settings exactly; a float's by itself; an integer's width not."""
    dtypes = {"torch.uint32": "U32", "torch.uint8": "U8", "torch.float32": "F32", "torch.float16": "F16"}
    found = {
        name[1:]: TensorEntry(dtypes.get(str(tensor.dtype), "BF16"), tuple(tensor.shape), (0, 0))
        for name, tensor in parts_of(form).items()
    }
    shape = tuple(UNITS[f"{form}.expected"].shape)
    expected, _ = scheme_of(form, shape)
    for told in (recognize(found, shape, {}), recognize(found, None, {"bits": 4} | settings_of(form))):
        assert told is not None
        assert (told.scheme, told.shape) == (expected, shape)
    alone = recognize(found, None, {})
    assert (alone is None) is form.startswith("affine")
    assert recognize(found, (shape[0], shape[1] + 1), {}) is None


def integers(words: torch.Tensor, bits: int) -> np.ndarray[Any, Any]:
    """One stream of bits a row, the lowest first, by NumPy."""
    stream = np.unpackbits(words.view(torch.uint8).numpy(), axis=-1, bitorder="little")
    numbers: np.ndarray[Any, Any] = stream.reshape(*words.shape[:-1], -1, bits) @ (1 << np.arange(bits))
    return numbers


def dense_of(stored: Tensors, module: str, how: dict[str, Any]) -> torch.Tensor:
    """A matrix, or a stack, in float64 by MLX's published rules."""
    codes = integers(stored[f"{module}.weight"], how["bits"])
    scales, biases = stored[f"{module}.scales"], stored.get(f"{module}.biases")
    mode = how.get("mode", "affine")
    values = codes if mode == "affine" else FP4[codes] if how["bits"] == 4 else e4m3(torch.from_numpy(codes))
    factors = scales.double().numpy() if mode == "affine" else 2.0 ** (scales.double().numpy() - 127)
    if mode == "nvfp4":
        factors = e4m3(scales)
    grouped = values.reshape(*factors.shape, -1) * factors[..., None]
    if biases is not None:
        grouped = grouped + biases.double().numpy()[..., None]
    if (each := stored.get(f"{module}.global_scale")) is not None:
        grouped = grouped * (each.double().numpy() / 2688)[:, None, None, None]
    return torch.from_numpy(grouped.reshape(codes.shape).astype(np.float32))


def e4m3(codes: torch.Tensor) -> np.ndarray[Any, Any]:
    return codes.to(torch.uint8).view(torch.float8_e4m3fn).double().numpy()


def published(stored: Tensors, config: dict[str, Any]) -> Tensors:
    """What mlx-lm converted, dequantized and under the names that transformers reads."""
    settings = config["quantization"]
    common = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    plain: Tensors = {}
    for name in stored:
        module, _, leaf = name.rpartition(".")
        if leaf in ("scales", "biases", "global_scale"):
            continue
        packed = leaf == "weight" and f"{module}.scales" in stored
        tensor = dense_of(stored, module, settings.get(module, common)) if packed else stored[name]
        layer, _, role = module.rpartition(".")
        if layer.endswith("switch_mlp"):
            role = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}[role] if "sparse" in layer else role
            parent = layer.removesuffix("switch_mlp")
            plain |= {f"{parent}experts.{e}.{role}.weight": matrix for e, matrix in enumerate(tensor)}
        else:
            plain[name] = tensor
    for name in [name for name in plain if name.endswith("embed_q.weight")]:
        layer = name.removesuffix("embed_q.weight")
        joined = torch.cat((plain.pop(name).transpose(1, 2), plain.pop(f"{layer}unembed_out.weight")), dim=1)
        plain[f"{layer}kv_b_proj.weight"] = joined.flatten(0, 1)
    if config["model_type"] == "gpt_oss":
        for layer in sorted({m[1] for name in plain if (m := re.match(r"(.*\.experts)\.", name))}):
            both = [
                [plain.pop(f"{layer}.{role}.{leaf}") for role in ("gate_proj", "up_proj")]
                for leaf in ("weight", "bias")
            ]
            weights, biases = (torch.stack(pair, dim=2).flatten(1, 2) for pair in both)
            plain |= {f"{layer}.gate_up_proj": weights.transpose(1, 2), f"{layer}.gate_up_proj_bias": biases}
            plain[f"{layer}.down_proj"] = plain.pop(f"{layer}.down_proj.weight").transpose(1, 2)
            plain[f"{layer}.down_proj_bias"] = plain.pop(f"{layer}.down_proj.bias")
    return plain


@pytest.fixture(params=MODELS)
def converted(request: pytest.FixtureRequest) -> tuple[Path, Tensors, dict[str, Any]]:
    directory = FIXTURES / request.param
    return directory, load_file(directory / "model.safetensors"), json.loads((directory / "config.json").read_text())


def test_models_as_mlx_lm_converts_them(converted: tuple[Path, Tensors, dict[str, Any]], tmp_path: Path) -> None:
    directory, stored, config = converted
    plain = published(stored, config)
    model = weightscope.open(directory)
    assert [finding for finding in model.check(values=True) if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    auxiliary = {key: value for key, value in config.items() if key not in ("quantization", "quantization_config")}
    oracle = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**auxiliary))
    assert model.parameters.total == oracle.num_parameters()
    expected = logits_of(plain, auxiliary, tmp_path / "dense")
    assert difference(model.forward(TOKENS).logits, expected) < TOLERANCE


def test_every_tensor_of_a_quantized_weight_matters(
    converted: tuple[Path, Tensors, dict[str, Any]], tmp_path: Path
) -> None:
    directory, stored, config = converted
    expected = weightscope.open(directory).forward(TOKENS).logits
    kinds = ("v_proj.scales", "embed_q.scales", "unembed_out.scales", "down_proj.scales", "o_proj.scales")
    modules = [name.removesuffix(".scales") for name in stored if name.endswith(kinds) and ".1." in name]
    assert len(modules) > 2
    for module in modules:
        for leaf in ("weight", "scales", "biases", "global_scale"):
            if (name := f"{module}.{leaf}") not in stored:
                continue
            changed = stored | {name: perturbed(stored[name])}
            logits = weightscope.open(write(tmp_path, changed, config)).forward(TOKENS).logits
            assert difference(logits, expected) > 20 * TOLERANCE, name


def test_planted_faults_are_caught(converted: tuple[Path, Tensors, dict[str, Any]], tmp_path: Path) -> None:
    """A tensor that is lost, misshapen, of another type, or has a value that MLX never writes."""
    _, stored, config = converted
    module = "model.layers.1.self_attn.o_proj"
    settings = config["quantization"].get(module, config["quantization"])
    codes = {"missing-tensor", "shape-mismatch", "quantization-mismatch", "non-finite"}
    for leaf in ("weight", "scales", "biases"):
        name = f"{module}.{leaf}"
        if name not in stored:
            continue
        tensor = stored[name]
        lost = {other: tensor for other, tensor in stored.items() if other != name}
        assert codes & {finding.code for finding in faults_of(lost, config, tmp_path)}, name
        for changed in (torch.cat((tensor, tensor)), torch.cat((tensor, tensor), dim=1)):
            assert codes & {finding.code for finding in faults_of(stored | {name: changed}, config, tmp_path)}, name
        wrong = torch.zeros(tensor.shape, dtype=torch.int16)
        found = faults_of(stored | {name: wrong}, config, tmp_path)
        assert "quantization-mismatch" in {finding.code for finding in found}, name
    scales = f"{module}.scales"
    bad: dict[str, list[float]] = {"affine": [0.0, float("nan"), float("inf")], "mxfp4": [255], "nvfp4": [127, 200]}
    for value in bad[settings.get("mode", "affine")]:
        broken = stored | {scales: with_value(stored[scales], value)}
        found = faults_of(broken, config, tmp_path, values=True)
        assert codes & {finding.code for finding in found if scales in finding.names}, value


def test_a_scale_for_each_expert_is_neither_zero_nor_negative(tmp_path: Path) -> None:
    directory = FIXTURES / "qwen3-moe-nvfp4"
    stored = load_file(directory / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    name = "model.layers.1.mlp.switch_mlp.up_proj.global_scale"
    for value in (0.0, -1.0, float("nan")):
        found = faults_of(stored | {name: with_value(stored[name], value)}, config, tmp_path, values=True)
        assert [tuple(finding.names) for finding in found] == [(name,)]


def test_settings_that_are_lost_are_told_by_the_tensors(
    converted: tuple[Path, Tensors, dict[str, Any]], tmp_path: Path
) -> None:
    directory, stored, config = converted
    whole = weightscope.open(directory)
    stripped = {key: value for key, value in config.items() if not key.startswith("quantization")}
    model = weightscope.open(write(tmp_path, stored, stripped))
    assert model.parameters.total == whole.parameters.total
    assert {finding.code for finding in model.check() if finding.severity == "error"} == {"quantization-mismatch"}
    assert difference(model.forward(TOKENS).logits, whole.forward(TOKENS).logits) == 0


def test_what_is_stacked_is_left_plain_where_it_has_no_scales(tmp_path: Path) -> None:
    """What the settings do not say: mlx-lm looks for scales."""
    directory = FIXTURES / "mixtral-6bit"
    stored = load_file(directory / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    module = "model.layers.0.block_sparse_moe.switch_mlp.down_proj"
    plain = dense_of(stored, module, config["quantization"])
    changed = {name: tensor for name, tensor in stored.items() if not name.startswith(module)}
    model = weightscope.open(write(tmp_path, changed | {f"{module}.weight": plain}, config))
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert difference(model.forward(TOKENS).logits, weightscope.open(directory).forward(TOKENS).logits) < TOLERANCE


@pytest.mark.parametrize(
    "settings",
    [{"bits": "4"}, {"bits": True}, {"bits": 0}, {"group_size": -1}, {"mode": 5}, {"mode": ["nvfp4"]},
     {"mode": "mxfp4", "bits": 8}, {"bits": 2**70}, {"bits": 4, "x": {"bits": None}}, {"bits": 4, "x": {"mode": {}}}],
)  # fmt: skip
def test_settings_that_no_version_of_mlx_writes_are_named(settings: dict[str, Any]) -> None:
    method = method_of(Config({"quantization": {"group_size": 64, "bits": 4} | settings})).method
    assert method is not None
    assert "mlx" in method.missing


def test_a_module_without_a_mode_of_its_own_is_affine() -> None:
    """As gpt-oss is converted: experts in MXFP4, all else in 8 bits."""
    settings = {"group_size": 32, "bits": 4, "mode": "mxfp4", "a": {"group_size": 64, "bits": 8}, "b": False}
    method = method_of(Config({"quantization": settings})).method
    assert method is not None
    weight = Stored(name="{}.weight", shape=(Size(64), Size(64)), parts=((Role.UP_PROJ, 4096),))
    words = [scheme and scheme.words for scheme in (method.scheme(weight, name) for name in "abc")]
    assert words == ["MLX, 8 bits in groups of 64", None, "MLX, mxfp4 in groups of 32"]


def test_scales_are_no_weights() -> None:
    for form in FORMS:
        scheme, weight = scheme_of(form, tuple(UNITS[f"{form}.expected"].shape))
        packed, *sides = scheme.expand(weight)
        assert packed.logical == weight.elements
        assert {side.kind for side in sides} == {Kind.SCALE}
