"""Images of several tiles, two at a time, by transformers' own models; every tensor of tower and bridge matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from weightscope.errors import UsageError

EYE = ("vision_model", "multi_modal_projector")
TEXT = [1, 2, 3, 40, 50]
# How many vectors a tile becomes.
EACH = {"llama4": 9, "llama4-unmerged-tied": 36}
BY_META = [tiny for tiny in TINY if tiny.name in (*EACH, "mllama", "mllama-other-tiles")]


def tiles(count: int, side: int = 24) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


# Two tiles side by side with the whole picture, then a picture that is one tile.
LLAMA4: dict[str, Any] = {"pixel_values": tiles(4), "aspect_ratios": torch.tensor([[1, 2], [1, 1]])}


def llama4_tokens(each: int) -> list[int]:
    return [3, *[95] * each, 60, *[95] * each, 61, 62, *[95] * each, 7, 9, *[95] * each, 11, 12]


@pytest.mark.parametrize(("name", "each"), EACH.items())
def test_llama4(name: str, each: int, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory, tokens = seeing.lively(saved(name), tmp_path / "m"), llama4_tokens(each)
    theirs = seeing.theirs(directory, tokens, {"pixel_values": LLAMA4["pixel_values"]})
    assert seeing.off(seeing.ours(directory, tokens, LLAMA4), theirs) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4
    names = [name for name in load_file(directory / "model.safetensors") if name.startswith(EYE)]
    assert not seeing.unmoving(directory, tokens, LLAMA4, names)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"pixel_values": tiles(4), "aspect_ratios": torch.tensor([[1, 2]])}, "has 4 tiles, and aspect_ratios tells 3"),
        ({"pixel_values": tiles(4), "aspect_ratios": torch.tensor([1, 2])}, "not [images, 2]"),
        ({"pixel_values": tiles(4), "aspect_ratios": torch.tensor([[0, 2]])}, "at least 1"),
        ({"pixel_values": tiles(4, 20)}, "does not fit"),
        ({"aspect_ratios": torch.tensor([[1, 2]])}, "pixel_values is missing"),
    ],
)
def test_llama4_says_what_does_not_fit(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("llama4")).forward(llama4_tokens(9), **inputs)
    assert said in str(caught.value)


def apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Experts as modules of their own, as compressed-tensors needs them."""
    found = {}
    for name, tensor in tensors.items():
        head, dot, end = name.partition(".experts.")
        if not dot:
            found[name] = tensor
            continue
        for number, matrix in enumerate(tensor):
            parts = matrix.T.chunk(2) if end == "gate_up_proj" else (matrix.T,)
            roles = ("gate_proj", "up_proj") if end == "gate_up_proj" else ("down_proj",)
            for role, part in zip(roles, parts, strict=True):
                found[f"{head}.experts.{number}.{role}.weight"] = part.contiguous()
    return found


def by_mlx(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As mlx-lm's `Model.sanitize` has it: without a tower, and with experts (E, out, in) for each role."""
    found = {}
    for name, tensor in tensors.items():
        head, dot, end = name.partition(".experts.")
        if name.startswith(EYE):
            continue
        if not dot:
            found[name] = tensor
        elif end == "down_proj":
            found[f"{name}.weight"] = tensor.transpose(1, 2).contiguous()
        else:
            for role, part in zip(("gate_proj", "up_proj"), tensor.chunk(2, dim=-1), strict=True):
                found[f"{head}.experts.{role}.weight"] = part.transpose(1, 2).contiguous()
    return found


@pytest.mark.parametrize("convert", [apart, by_mlx])
def test_llama4_s_experts_in_other_layouts(
    convert: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved("llama4"), tmp_path / "m")
    before, path = seeing.ours(directory, TEXT), directory / "model.safetensors"
    save_file(convert(load_file(path)), path, metadata={"format": "pt"})
    assert [finding for finding in weightscope.open(directory).check() if finding.severity == "error"] == []
    assert seeing.off(seeing.ours(directory, TEXT), before) < 1e-5


def crossed(tiles: int, images: int = 2) -> dict[str, torch.Tensor]:
    """As Llama 3.2's processor makes them: a batch of one, images of two tiles and of one."""
    used = torch.zeros(1, images, tiles, dtype=torch.long)
    used[0, 0, :2], used[0, 1:, :1] = 1, 1
    pixels = torch.randn(1, images, tiles, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return {
        "pixel_values": pixels * used[..., None, None, None],
        "aspect_ratio_ids": torch.tensor([[2, *[1] * (images - 1)]]),
        "aspect_ratio_mask": used,
    }


def processor_s_mask(tokens: list[int], inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    from transformers.models.mllama import processing_mllama as mllama

    spans = mllama.get_cross_attention_token_mask(tokens, 103)
    used = inputs["aspect_ratio_mask"]
    dense = mllama.convert_sparse_cross_attention_mask_to_dense(
        [spans], num_tiles=[used[0].sum(1).tolist()], max_num_tiles=used.shape[-1], length=len(tokens)
    )
    return torch.as_tensor(dense)


CROSSED = ("vision_model", "multi_modal_projector", "cross_attn")


@pytest.mark.parametrize(("name", "tiles"), [("mllama", 4), ("mllama-other-tiles", 2)])
@pytest.mark.parametrize("tokens", [[1, 7, 103, 9, 11, 103, 12, 13], [103, 103, 1, 7], [1, 103, 9, 103]])
def test_mllama(name: str, tiles: int, tokens: list[int], saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory, inputs = seeing.lively(saved(name), tmp_path / "m"), crossed(tiles)
    masked = inputs | {"cross_attention_mask": processor_s_mask(tokens, inputs)}
    theirs = seeing.theirs(directory, tokens, masked)
    assert seeing.off(seeing.ours(directory, tokens, inputs), theirs) < 1e-4
    assert seeing.off(seeing.ours(directory, tokens, masked), theirs) < 1e-4
    without_batch = {key: value[0] for key, value in masked.items()}
    assert seeing.off(seeing.ours(directory, tokens, without_batch), theirs) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4


@pytest.mark.parametrize(("name", "tiles"), [("mllama", 4), ("mllama-other-tiles", 2)])
def test_every_tensor_that_mllama_sees_with_matters(
    name: str, tiles: int, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    tensors = load_file(directory / "model.safetensors")
    names = [name for name in tensors if any(part in name for part in CROSSED)]
    assert not seeing.unmoving(directory, [1, 7, 103, 9, 11, 103, 12, 13], crossed(tiles), names)


def test_mllama_as_transformers_holds_it(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved("mllama"), tmp_path / "m")
    tokens, path = [103, 103, 1, 7], directory / "model.safetensors"
    before = seeing.ours(directory, tokens, crossed(4))
    model = transformers.AutoModelForImageTextToText.from_pretrained(directory)
    save_file(model.state_dict(), path, metadata={"format": "pt"})
    assert [finding for finding in weightscope.open(directory).check() if finding.severity == "error"] == []
    assert seeing.off(seeing.ours(directory, tokens, crossed(4)), before) < 1e-5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aspect_ratio_ids": None}, "aspect_ratio_ids is missing"),
        ({"aspect_ratio_ids": torch.tensor([[9, 1]])}, "they are 0 to 8"),
        ({"aspect_ratio_ids": torch.tensor([[1]])}, "the images need [2]"),
        ({"aspect_ratio_mask": torch.zeros(1, 2, 4)}, "an image without a tile"),
        ({"pixel_values": torch.zeros(1, 2, 3, 3, 12, 12)}, "the encoder takes [images, 4, 3, 12, 12]"),
        ({"cross_attention_mask": torch.ones(1, 3, 2, 4)}, "the tokens need [4, 2, 4]"),
    ],
)
def test_mllama_says_what_does_not_fit(changes: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    inputs = {key: value for key, value in (crossed(4) | changes).items() if value is not None}
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("mllama")).forward([103, 103, 1, 7], **inputs)
    assert said in str(caught.value)
