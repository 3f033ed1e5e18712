"""What the tests of all quantization methods share: tiny models in a method's form, and the checks each must pass.

A method's test says how it stores one matrix (`Pack`, by the library that writes the format or by its published rules)
and which modules it covers. `quantize` replaces these in a tiny model of transformers', and keeps beside it the
float32 model on the dequantized matrices, which transformers computes.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from weightscope.findings import Finding

Tensors = dict[str, torch.Tensor]
# What is stored for a module's matrix [out, in], by what follows the module's name (".weight", ".weight_scale"), and
# the float32 matrix that it stands for.
Pack = Callable[[str, torch.Size], tuple[Tensors, torch.Tensor]]
Covers = Callable[[str], bool]
Settings = dict[str, Any]

TOKENS = [7, 3, 96, 0, 42, 11]
# Logits agree within this share of their root mean square; a perturbed tensor moves them by a hundred times as much.
TOLERANCE, MOVED = 1e-4, 1e-2

# Widths that groups of 16 and 32 divide, all different; the vocabulary is odd.
LLAMA: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 24, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
# Every expert is chosen for some token.
MIXTURE: dict[str, Any] = LLAMA | {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


class Plain(NamedTuple):
    """A model before quantization: its tensors as published, its config, and transformers' count of its parameters."""

    tensors: Tensors
    config: dict[str, Any]
    total: int


class Quantized(NamedTuple):
    """A model in a method's form; `dense` are the same weights dequantized, `modules` the quantized modules' marks."""

    tensors: Tensors
    dense: Tensors
    config: dict[str, Any]
    modules: dict[str, tuple[str, ...]]
    total: int


def llama(**sizes: Any) -> Plain:
    """A Llama of two layers."""
    return _built("Llama", tuple((LLAMA | sizes).items()))


def mixture(**sizes: Any) -> Plain:
    """A Qwen3-MoE of two layers, each expert's matrices under names of their own, as it is published."""
    return _built("Qwen3Moe", tuple((MIXTURE | sizes).items()))


def fp8_experts(nllb: Path, folder: Path) -> tuple[Path, Path]:
    """NLLB's mixture with the first matrices of its experts in FP8 and scales of blocks; and with them dequantized."""
    config = json.loads((nllb / "config.json").read_text())
    dense = load_file(nllb / "model.safetensors")
    stored = dict(dense)
    for name in [name for name in dense if ".experts." in name and name.endswith("fc1.weight")]:
        scale = dense[name].abs().max() / 448
        stored[name] = (dense[name] / scale).to(torch.float8_e4m3fn)
        stored[f"{name}_scale_inv"] = scale.reshape(1, 1)
        dense[name] = stored[name].float() * scale
    settings = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    quantized = write(folder / "fp8", stored, config | {"quantization_config": settings})
    return quantized, write(folder / "dense", dense, config)


def inner(module: str) -> bool:
    """Whether a module is a linear layer within the blocks, and no router: what nearly all methods cover."""
    return module.endswith("_proj")


def quantize(plain: Plain, pack: Pack, settings: Settings, covers: Covers = inner) -> Quantized:
    """The model with every matrix that is covered as the method stores it."""
    tensors: Tensors = {}
    dense = dict(plain.tensors)
    modules = {}
    for name, tensor in plain.tensors.items():
        module = name.removesuffix(".weight")
        if tensor.dim() != 2 or not covers(module):
            tensors[name] = tensor
            continue
        packed, dense[name] = pack(module, tensor.shape)
        modules[module] = tuple(packed)
        tensors |= {f"{module}{mark}": part for mark, part in packed.items()}
    return Quantized(tensors, dense, plain.config | settings, modules, plain.total)


def write(directory: Path, tensors: Mapping[str, torch.Tensor], config: Settings) -> Path:
    """A checkpoint of one file."""
    directory.mkdir(parents=True, exist_ok=True)
    # Tensors that share memory are refused, so each is written from its own.
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def logits_of(tensors: Tensors, config: Settings, directory: Path) -> torch.Tensor:
    """What transformers computes in float32 with these weights, [tokens, vocabulary]; it reads them by itself."""
    plain = {key: value for key, value in config.items() if not key.startswith("quantization")}
    write(directory, tensors, plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([TOKENS])).logits[0]
    return logits


def check_sound(quantized: Quantized, directory: Path, *, tolerance: float = TOLERANCE) -> weightscope.Model:
    """Counted as before quantization, no finding above info even of the values, and transformers' logits."""
    model = weightscope.open(write(directory / "quantized", quantized.tensors, quantized.config))
    assert model.parameters.total == quantized.total
    assert [finding for finding in model.check(values=True) if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    expected = logits_of(quantized.dense, quantized.config, directory / "dense")
    assert difference(model.forward(TOKENS).logits, expected) < tolerance
    check_matrices(model, quantized)
    return model


def check_matrices(model: weightscope.Model, quantized: Quantized) -> None:
    """Every quantized matrix is read exactly as it was dequantized."""
    assert model.declaration is not None
    for module in quantized.modules:
        name = f"{module}.weight"
        scheme = model.declaration.schemes.of(name)
        assert scheme is not None, module
        read = scheme.read(name, lambda part: model.tensors[part].torch())
        torch.testing.assert_close(read, quantized.dense[name], rtol=0, atol=0, equal_nan=True, msg=module)


def check_every_tensor_matters(
    quantized: Quantized, directory: Path, *, ignored: Collection[str] = (), by: float = MOVED
) -> None:
    """A perturbation of each tensor of two matrices of the last layer, less `ignored` marks, moves the logits."""
    expected = weightscope.open(write(directory, quantized.tensors, quantized.config)).forward(TOKENS).logits
    last = max(int(module.split(".")[2]) for module in quantized.modules if module.split(".")[2:3])
    for module, marks in quantized.modules.items():
        if f".{last}." not in module or not module.endswith(("v_proj", "down_proj")) or ".experts." in module:
            continue
        for mark in marks:
            if mark in ignored:
                continue
            name = f"{module}{mark}"
            changed = quantized.tensors | {name: perturbed(quantized.tensors[name])}
            logits = weightscope.open(write(directory, changed, quantized.config)).forward(TOKENS).logits
            assert difference(logits, expected) > by, name


def perturbed(tensor: torch.Tensor) -> torch.Tensor:
    """Numbers doubled; integers, and exponents, moved along the longest dimension; a single one changed in a bit."""
    if tensor.dtype.is_floating_point and tensor.dtype is not torch.float8_e8m0fnu:
        return (tensor.float() * 2).clamp(-400, 400).to(tensor.dtype)
    bits = tensor.view(torch.uint8) if tensor.dtype is torch.float8_e8m0fnu else tensor
    if tensor.numel() == 1:
        return (bits ^ 1).view(tensor.dtype)
    longest = max(range(tensor.dim()), key=lambda dim: tensor.shape[dim])
    return bits.roll(1, longest).view(tensor.dtype)


def check_stripped(quantized: Quantized, directory: Path, *, computed: bool = True) -> tuple[Finding, ...]:
    """Without its settings: counted the same, reported, and computed alike where the tensors tell enough."""
    stripped = {key: value for key, value in quantized.config.items() if not key.startswith("quantization")}
    model = weightscope.open(write(directory / "stripped", quantized.tensors, stripped))
    assert model.parameters.total == quantized.total
    errors = tuple(finding for finding in model.check() if finding.severity == "error")
    assert {finding.code for finding in errors} == {"quantization-mismatch"}
    if computed:
        expected = logits_of(quantized.dense, quantized.config, directory / "dense")
        assert difference(model.forward(TOKENS).logits, expected) < TOLERANCE
    return errors


def faults_of(tensors: Tensors, config: Settings, directory: Path, *, values: bool = False) -> list[Finding]:
    """What `check` finds above info."""
    model = weightscope.open(write(directory, tensors, config))
    return [finding for finding in model.check(values=values) if finding.severity != "info"]


def check_caught(
    quantized: Quantized,
    changes: Mapping[str, torch.Tensor | None],
    codes: str,
    directory: Path,
    *,
    values: bool = False,
) -> None:
    """A model with some tensors changed, added or (None) taken away has a finding about their modules.

    Its code is one of `codes`, words apart by spaces.
    """
    tensors: Tensors = dict(quantized.tensors)
    for name, tensor in changes.items():
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    found = faults_of(tensors, quantized.config, directory, values=values)
    modules = {_module(name) for name in changes}
    about = [finding.code for finding in found if any(_module(name) in modules for name in finding.names)]
    assert set(codes.split()) & set(about), [(finding.code, finding.message) for finding in found]


def check_planted_faults(
    quantized: Quantized, module: str, directory: Path, *, scales: Collection[str], optional: Collection[str] = ()
) -> None:
    """A fault in each tensor of one module is caught: lost (but for `optional` marks), misshapen, of another type.

    A NaN among `scales`, the marks of scales that are floats, is `non-finite`.
    """
    for mark in quantized.modules[module]:
        name = f"{module}{mark}"
        tensor = quantized.tensors[name]
        if mark not in optional:
            check_caught(quantized, {name: None}, "missing-tensor quantization-mismatch", directory)
        longer = torch.cat([tensor, tensor]) if tensor.dim() else torch.stack([tensor, tensor])
        check_caught(quantized, {name: longer}, "shape-mismatch quantization-mismatch", directory)
        other = torch.zeros(tensor.shape, dtype=torch.int16)
        check_caught(quantized, {name: other}, "quantization-mismatch", directory)
    for mark in scales:
        name = f"{module}{mark}"
        changed = with_value(quantized.tensors[name], float("nan"))
        check_caught(quantized, {name: changed}, "non-finite", directory, values=True)


def check_bounds(
    quantized: Quantized, module: str, directory: Path, *, marks: Collection[str], bad: Collection[float] = (0.0, -1.0)
) -> None:
    """`check --values` catches each value in `bad`, put into each tensor with one of these marks."""
    for mark in marks:
        name = f"{module}{mark}"
        for value in bad:
            changed = with_value(quantized.tensors[name], value)
            check_caught(quantized, {name: changed}, "quantization-mismatch", directory, values=True)


def with_value(tensor: torch.Tensor, value: float) -> torch.Tensor:
    """A copy whose last element has that value; exponents (E8M0) know 2 to some power and NaN."""
    if tensor.dtype is not torch.float8_e8m0fnu:
        numbers = tensor.double()
        numbers.view(-1)[-1] = value
        return numbers.to(tensor.dtype)
    bits = tensor.view(torch.uint8).clone()
    bits.view(-1)[-1] = 0xFF if math.isnan(value) else round(math.log2(value)) + 127
    return bits.view(tensor.dtype)


def difference(found: torch.Tensor | None, expected: torch.Tensor | None) -> float:
    """The largest difference of logits, as a share of the root mean square of those that are expected."""
    assert found is not None
    assert expected is not None
    return float((found - expected).abs().max() / expected.square().mean().sqrt())


def _module(name: str) -> str:
    return name.rpartition(".")[0]


@cache
def _built(kind: str, sizes: tuple[tuple[str, Any], ...]) -> Plain:
    config = getattr(transformers, f"{kind}Config")(**dict(sizes))
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.3, 0.3)
    with TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(directory)
        tensors = load_file(Path(directory) / "model.safetensors")
        saved = json.loads((Path(directory) / "config.json").read_text())
    return Plain(tensors, saved, model.num_parameters())
