"""Figures of quantized models: how fast one opens beside the same in bfloat16, how fast each form is dequantized."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks.ghost import write_ghost
from benchmarks.measure import WEIGHTSCOPE, Figure, interleaved
from weightscope.checkpoint.dtypes import TORCH_NAMES
from weightscope.checkpoint.reader import Checkpoint, open_checkpoint
from weightscope.checkpoint.values import load_torch
from weightscope.config import Config
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Scheme, Stored

# 65 layers of 128 experts with three matrices, and four of attention: 25,220 quantized modules.
MIXTURE: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "vocab_size": 151936, "hidden_size": 2048,
    "intermediate_size": 6144, "moe_intermediate_size": 768, "num_hidden_layers": 65, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8, "torch_dtype": "bfloat16",
}  # fmt: skip
ROWS, COLUMNS, EXPERTS = 4096, 4096, 4
NAME = "model.layers.0.mlp.up_proj.weight"
STACK = "model.layers.0.mlp.experts.up_proj"
# What is dequantized, by the settings that a config has of it. Forms whose tensors have no fixed shape have no place.
FORMS: dict[str, dict[str, Any]] = {
    "FP8 in blocks": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "MXFP8": {"quant_method": "mxfp8"},
    "MXFP4, stacked": {"quant_method": "mxfp4"},
    "compressed-tensors int4": {
        "quant_method": "compressed-tensors", "format": "pack-quantized",
        "config_groups": {"a": {"targets": ["Linear"], "weights": {
            "num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True}}},
    },
    "GPTQ 4 bits": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False},
    "GPTQ 3 bits": {"quant_method": "gptq", "bits": 3, "group_size": 128, "desc_act": False},
    **{f"AWQ {version}": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": version, "zero_point": True}
       for version in ("gemm", "gemv", "gemv_fast")},
    **{f"MLX {bits} bits": {"bits": bits, "group_size": 64} for bits in (2, 3, 4, 5, 6, 8)},
    **{f"MLX {mode}": {"bits": bits, "group_size": size, "mode": mode}
       for mode, bits, size in (("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16))},
    **{f"ModelOpt {algorithm}": {"quant_method": "modelopt", "quant_algo": algorithm}
       for algorithm in ("FP8", "FP8_PER_CHANNEL_PER_TOKEN", "NVFP4", "MXFP4", "MXFP8", "W4A16_AWQ", "W8A16")},
}  # fmt: skip


def measure_quantized(scratch: Path, rounds: int) -> list[Figure]:
    """All figures."""
    return [*opening(scratch, rounds), *dequantizing(scratch, rounds)]


def opening(scratch: Path, rounds: int) -> list[Figure]:
    """`inspect` of a mixed NVFP4 model whose config names every module, and of the same in bfloat16."""
    plain, mixed = (_ghost(scratch / name, config) for name, config in (("bf16", MIXTURE), ("nvfp4", _mixed())))
    commands = {name: (*WEIGHTSCOPE, "inspect", str(path)) for name, path in (("NVFP4", mixed), ("bfloat16", plain))}
    seconds = {name: statistics.median(r.seconds for r in of) for name, of in interleaved(commands, rounds).items()}
    group = "a mixture of 25,220 quantized modules"
    return [
        *(Figure(group=group, name=f"inspect, {name}", value=value, unit="s") for name, value in seconds.items()),
        Figure(group=group, name="NVFP4 / bfloat16", value=seconds["NVFP4"] / seconds["bfloat16"], unit="×", limit=1.5),
    ]


def dequantizing(scratch: Path, rounds: int) -> list[Figure]:
    """Seconds to read and dequantize so many weights, over those to read them in bfloat16 and convert them."""
    torch.set_num_threads(1)
    figures = []
    for title, settings in FORMS.items():
        quantized, plain = _form(scratch, settings)
        times: dict[Callable[[], torch.Tensor], list[float]] = {quantized: [], plain: []}
        for _ in range(rounds + 1):
            for run, of in times.items():
                of.append(_seconds(run))
        # The first round warms the caches.
        spent, floor = (statistics.median(of[1:]) for of in times.values())
        name = f"{title} / bfloat16"
        figures.append(Figure(group="dequantized", name=name, value=spent / floor, unit="×", limit=3))
    return figures


def _form(scratch: Path, settings: dict[str, Any]) -> tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]:
    """What reads a weight in that form, and what reads as many in bfloat16."""
    stored, scheme = _scheme(settings)
    parts = {part.name: _drawn(part) for part in scheme.expand(stored) if not part.optional}
    tensors = parts | {"plain": torch.randn(tuple(map(int, stored.shape))).bfloat16()}
    path = scratch / "form.safetensors"
    save_file(tensors, path)
    checkpoint = open_checkpoint(path)
    return (
        lambda: scheme.read(stored.name, lambda name: _load(checkpoint, name)),
        lambda: _load(checkpoint, "plain").float(),
    )


def _scheme(settings: dict[str, Any]) -> tuple[Stored, Scheme]:
    """The weight, a matrix or a stack, and how a method stores it."""
    key = "quantization_config" if "quant_method" in settings else "quantization"
    method = method_of(Config({key: settings})).method
    assert method is not None
    for name, shape in ((NAME, (ROWS, COLUMNS)), (STACK, (EXPERTS, COLUMNS // 2, ROWS // 2))):
        sizes = tuple(map(Size, shape))
        stored = Stored(name=name, shape=sizes, parts=((Role.UP_PROJ, prod(shape)),))
        scheme = method.scheme(stored, name.removesuffix(".weight"))
        if scheme is not None:
            return stored, scheme
    raise SystemExit(f"{settings}: covers neither a matrix nor a stack of them")


def _drawn(part: Stored) -> torch.Tensor:
    """Codes over their whole range, scales near 1, indices in order."""
    shape = tuple(map(int, part.shape))
    if part.name.endswith("weight_shape"):
        return torch.tensor([ROWS, COLUMNS])
    names = {name: dtype for dtype, name in TORCH_NAMES.items()}
    dtype = getattr(torch, names[_preferred(part.dtypes)])
    if dtype.is_floating_point and dtype.itemsize > 1:
        return (torch.rand(shape) + 0.5).to(dtype)
    if part.kind == "scale" and dtype.itemsize == 1:
        # Exponents and 8-bit floats near 1.
        return torch.randint(48, 56, shape, dtype=torch.uint8).view(dtype)
    count = prod(shape) * dtype.itemsize
    return torch.randint(0, 128, (count,), dtype=torch.uint8).view(dtype).reshape(shape)


def _preferred(dtypes: frozenset[str]) -> str:
    order = ("F32", "F8_E4M3", "U8", "U32", "I32", "I16", "I8", "F8_E8M0", "F16")
    return next(dtype for dtype in order if dtype in dtypes)


def _load(checkpoint: Checkpoint, name: str) -> torch.Tensor:
    return load_torch(checkpoint.files, checkpoint.tensors[name])


def _seconds(run: Callable[[], torch.Tensor]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _mixed() -> dict[str, Any]:
    """Experts in NVFP4, attention in FP8, two layers of it plain, every module named."""
    layers = {name: {"quant_algo": "NVFP4", "group_size": 16} for name in _experts()}
    layers |= {
        f"model.layers.{layer}.self_attn.{role}_proj": {"quant_algo": "FP8"} for layer in range(65) for role in "qkvo"
    }
    settings = {
        "quant_method": "modelopt",
        "quant_algo": "MIXED_PRECISION",
        "ignore": ["lm_head", *(f"model.layers.{layer}.mlp.gate" for layer in range(65))],
        "quantized_layers": layers,
    }
    return MIXTURE | {"quantization_config": settings}


def _experts() -> Iterator[str]:
    for layer in range(65):
        for expert in range(128):
            for role in ("gate", "up", "down"):
                yield f"model.layers.{layer}.mlp.experts.{expert}.{role}_proj"


def _ghost(directory: Path, config: dict[str, Any]) -> Path:
    source = directory.with_suffix(".json")
    source.write_text(json.dumps(config), encoding="utf-8")
    write_ghost(source, directory)
    return directory


def main() -> None:
    """Measure and print these figures alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    with tempfile.TemporaryDirectory(prefix="weightscope-bench-") as scratch:
        for figure in measure_quantized(Path(scratch), parser.parse_args().rounds):
            print(figure.line)


if __name__ == "__main__":
    main()
