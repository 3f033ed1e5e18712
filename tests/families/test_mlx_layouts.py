"""Models in MLX's layout: kernels turned, norms with 1 added, experts stacked; against transformers on the original."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.mlx_layouts import SHIFTED, TEXT, VISION, Tensors, falcon_h1, without
from tests.families.tiny import TINY
from weightscope.errors import WeightscopeError

TOKENS = [1, 17, 3, 40, 8, 77, 5]
# Two images for the towers, each of one frame.
GRIDS = torch.tensor([[1, 4, 6], [1, 4, 4]])
SEEN = [1, 97, *[95] * 6, 98, 5, 97, *[95] * 4, 98, 9]
OFFSETS = ("qwen3_5", "qwen3_next")


def calm(directory: Path, to: Path) -> Path:
    """The model with smaller matrices and norms near 1, so that errors of rounding do not grow with its layers."""
    shutil.copytree(directory, to)
    offset = directory.name.startswith(OFFSETS)
    tensors = {}
    for name, tensor in load_file(to / "model.safetensors").items():
        near_one = "norm" in name and name.endswith("weight") and not (offset and SHIFTED.fullmatch(name))
        near_zero = tensor.dim() > 1 and "embed" not in name and "conv" not in name
        tensors[name] = 1 + tensor / 2 if near_one else tensor / 2 if near_zero else tensor
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return to


def by_mlx(directory: Path, to: Path, tensors: Tensors) -> Path:
    """A checkpoint of these tensors as MLX writes one."""
    to.mkdir()
    shutil.copy(directory / "config.json", to)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, to / "model.safetensors", metadata={"format": "mlx"})
    return to


def config_of(directory: Path) -> dict[str, Any]:
    """Its config.json."""
    config: dict[str, Any] = json.loads((directory / "config.json").read_text())
    return config


def pixels() -> torch.Tensor:
    """The patches of both images."""
    return torch.rand(24 + 16, 3 * 2 * 4 * 4, generator=torch.Generator().manual_seed(3)) - 0.5


def theirs(directory: Path, *, images: bool = False) -> torch.Tensor:
    """What transformers computes with the original."""
    sees = "vision_config" in config_of(directory)
    auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    model = auto.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    ).eval()
    ids = torch.tensor([SEEN if images else TOKENS])
    more = {"pixel_values": pixels(), "image_grid_thw": GRIDS, "mm_token_type_ids": (ids == 95).int()} if images else {}
    with torch.no_grad():
        logits: torch.Tensor = model(ids, use_cache=False, **more).logits[0]
    return logits


def off(found: torch.Tensor | None, expected: torch.Tensor) -> float:
    """The largest difference, as a share of the expected root mean square."""
    assert found is not None
    return float((found - expected).abs().max() / expected.square().mean().sqrt())


def sound(directory: Path, original: Path) -> weightscope.Model:
    """The model, counted as the original and without a finding."""
    model, before = weightscope.open(directory), weightscope.open(original)
    assert model.parameters.total == before.parameters.total
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check(values=True) if finding.severity != "info"] == []
    return model


@pytest.mark.parametrize("name", TEXT)
def test_language_models(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    original = calm(saved(name), tmp_path / name)
    directory = by_mlx(original, tmp_path / "mlx", TEXT[name](load_file(original / "model.safetensors")))
    assert off(sound(directory, original).forward(TOKENS).logits, theirs(original)) < 1e-4


@pytest.mark.parametrize("name", VISION)
def test_vision_language_models(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    original = calm(saved(name), tmp_path / name)
    directory = by_mlx(original, tmp_path / "mlx", VISION[name](load_file(original / "model.safetensors")))
    found = sound(directory, original).forward(SEEN, pixel_values=pixels(), image_grid_thw=GRIDS).logits
    assert off(found, theirs(original, images=True)) < 1e-4


TOWERLESS = ("qwen3_5", "qwen3_5_moe", "qwen2_vl", "qwen2_vl-tied", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")


@pytest.mark.parametrize("name", TOWERLESS)
def test_mlx_lm_leaves_out_the_tower(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """And keeps the whole model's config."""
    original = calm(saved(name), tmp_path / name)
    tensors = load_file(original / "model.safetensors")
    kept = without(VISION[name](tensors), ["vision_tower"])
    model = weightscope.open(by_mlx(original, tmp_path / "mlx", kept))
    assert model.parameters.total == sum(tensor.numel() for tensor in without(tensors, ["visual."]).values())
    assert [finding for finding in model.check(values=True) if finding.severity != "info"] == []
    assert off(model.forward(TOKENS).logits, theirs(original)) < 1e-4


@pytest.mark.parametrize("name", ["qwen3_next", "qwen3_5"])
def test_norms_with_1_added_are_told_by_the_kernels_beside_them(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """MLX adds 1 to the norms of a model whose kernels it turns, so one without the other is refused."""
    convert = (TEXT | VISION)[name]
    tensors = convert(load_file(saved(name) / "model.safetensors"))
    other = {key: t.transpose(1, 2) if "conv1d" in key else t for key, t in tensors.items()}
    model = weightscope.open(by_mlx(saved(name), tmp_path / "mlx", other))
    assert "shape-mismatch" in {finding.code for finding in model.check() if finding.severity == "error"}
    with pytest.raises(WeightscopeError, match="conv1d"):
        model.forward(TOKENS)


def test_gpt2_below_a_wrapper_is_not_taken_for_mlx_s(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """The same names, the matrices as published."""
    tensors = load_file(saved("gpt2") / "model.safetensors")
    moved = {name.replace("transformer.", "model."): tensor for name, tensor in tensors.items()}
    model = weightscope.open(by_mlx(saved("gpt2"), tmp_path / "moved", moved))
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert off(model.forward(TOKENS).logits, theirs(saved("gpt2"))) < 1e-4


@pytest.mark.parametrize("tied", [False, True])
def test_falcon_h1_is_multiplied_by_what_its_config_says(
    tied: bool, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    original = calm(saved("falcon_h1"), tmp_path / "falcon_h1")
    config = config_of(original)
    names = ("key", "attention_in", "attention_out", "ssm_in", "ssm_out", "lm_head", "embedding")
    config |= {f"{name}_multiplier": 0.6 + 0.2 * place for place, name in enumerate(names)}
    config |= {"ssm_multipliers": [0.5, 1.2, 0.8, 1.5, 0.7], "mlp_multipliers": [1.3, 0.6], "tie_word_embeddings": tied}
    (original / "config.json").write_text(json.dumps(config))
    tensors = load_file(original / "model.safetensors")
    if tied:
        tensors.pop("lm_head.weight")
        save_file(tensors, original / "model.safetensors", metadata={"format": "pt"})
    directory = by_mlx(original, tmp_path / "mlx", falcon_h1(tensors, config))
    assert off(sound(directory, original).forward(TOKENS).logits, theirs(original)) < 1e-4
    assert off(weightscope.open(original).forward(TOKENS).logits, theirs(original)) < 1e-4


def test_biases_of_falcon_h1_are_refused_by_name(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """mlx-lm multiplies the matrices and not their biases."""
    tiny = next(tiny for tiny in TINY if tiny.kind == "FalconH1" and tiny.keys.get("attention_bias"))
    tensors = falcon_h1(load_file(saved(tiny.name) / "model.safetensors"), config_of(saved(tiny.name)))
    model = sound(by_mlx(saved(tiny.name), tmp_path / "mlx", tensors), saved(tiny.name))
    with pytest.raises(WeightscopeError, match="Falcon-H1 by MLX with attention_bias"):
        model.forward(TOKENS)


def test_llava_s_patches(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """mlx-vlm stores the kernel of CLIP's patches [out, h, w, in]."""
    original = saved("llava")
    tensors = load_file(original / "model.safetensors")
    turned = {n: t.permute(0, 2, 3, 1) if n.endswith("patch_embedding.weight") else t for n, t in tensors.items()}
    image = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(4)) - 0.5
    tokens = [1, *[99] * 16, 17, 3]
    model = transformers.AutoModelForImageTextToText.from_pretrained(original, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = model(torch.tensor([tokens]), pixel_values=image).logits[0]
    found = sound(by_mlx(original, tmp_path / "mlx", turned), original).forward(tokens, pixel_values=image).logits
    assert off(found, expected) < 1e-4
