"""2026's flagships with two images, by transformers' own models; every tensor of tower and bridge matters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.forward import seeing
from tests.forward.test_grid_images import GRIDS, pixels
from weightscope.errors import UsageError

TEXT = [1, 2, 3, 40, 50]


class Case(NamedTuple):
    """A tiny model, the tokens and arrays of two images, and what transformers wants besides."""

    name: str
    tokens: list[int]
    inputs: dict[str, Any]
    besides: Mapping[str, Any] = MappingProxyType({})
    unrotated: bool = False
    # Tensors of neither tower nor bridge.
    others: tuple[str, ...] = ("language_model", "lm_head", "model.layers", "model.norm", "model.embed")


def minimax(name: str, counts: tuple[int, int]) -> Case:
    tokens = [3, 97, *[95] * counts[0], 98, 7, 97, *[95] * counts[1], 98, 11]
    return Case(name, tokens, {"pixel_values": pixels(), "image_grid_thw": GRIDS})


def molmo_image(low: tuple[int, int], high: tuple[int, int]) -> list[int]:
    """As the processor writes it: the whole, then its crops, a token behind each row."""
    whole, crops = ([*[103] * columns, 104] * rows for rows, columns in (low, high))
    return [105, *whole, 102, 101, *crops, 102]


def molmo(name: str) -> Case:
    generator = torch.Generator().manual_seed(3)
    crops = torch.randn(5, 25, 48, generator=generator)
    windows = torch.randint(0, 125, (15, 4), generator=generator)
    windows[torch.rand(15, 4, generator=generator) < 0.3] = -1
    windows[:, 1] = torch.arange(15) * 8
    tokens = [3, 7, *molmo_image((2, 3), (2, 2)), 9, *molmo_image((1, 2), (3, 1)), 11, 12]
    inputs = {
        "pixel_values": crops, "image_token_pooling": windows, "image_num_crops": torch.tensor([3, 2]),
        "image_grids": torch.tensor([[2, 3, 2, 2], [1, 2, 3, 1]]),
    }  # fmt: skip
    marks = torch.tensor([[int(100 < token < 106) for token in tokens]])
    others = ("transformer.blocks", "wte", "ln_f", "lm_head")
    return Case(name, tokens, inputs, {"mm_token_type_ids": marks}, unrotated=True, others=others)


def step(name: str) -> Case:
    generator = torch.Generator().manual_seed(4)
    inputs = {
        "pixel_values": torch.randn(2, 3, 20, 20, generator=generator),
        "pixel_values_local": torch.randn(3, 3, 36, 36, generator=generator), "num_local_patches": torch.tensor([2, 1]),
    }  # fmt: skip
    tokens = [3, *[95] * 9, 7, *[95] * 9, 8, *[95] * 4, 9, *[95] * 9, *[95] * 4, 11, 12]
    return Case(name, tokens, inputs)


def minicpm(name: str) -> Case:
    pixels = torch.randn(1, 3, 4, 4 * 128, generator=torch.Generator().manual_seed(6))
    tokens = [3, 97, *[95] * 2, 98, 7, *[95] * 6, 98, 11]
    return Case(name, tokens, {"pixel_values": pixels, "target_sizes": torch.tensor([[4, 8], [12, 8]])}, unrotated=True)


CASES = [
    minimax("minimax_m3_vl", (6, 20)),
    minimax("minimax_m3_vl-tied-turning", (24, 80)),
    molmo("molmo2"),
    molmo("molmo2-olmo-biases"),
    step("step3p7"),
    step("step3p7-tied-bias"),
    minicpm("minicpmv4_6"),
    minicpm("minicpmv4_6-fine-tied"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_two_images_and_text_alone(case: Case, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(case.name), tmp_path / "m")
    found = seeing.ours(directory, case.tokens, case.inputs)
    assert seeing.off(found, seeing.theirs(directory, case.tokens, case.inputs | dict(case.besides))) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4


@pytest.mark.parametrize("case", [case for case in CASES if "-" not in case.name], ids=lambda case: case.name)
def test_every_kind_of_tensor_of_tower_and_bridge_moves_the_logits(
    case: Case, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Of those that are called alike in their layers, the last; what all keys get no softmax shows."""
    directory = seeing.lively(saved(case.name), tmp_path / "m")
    names = load_file(directory / "model.safetensors")
    eye = [name for name in names if not any(other in name for other in case.others)]
    kinds = seeing.one_of_each_kind(eye)
    assert len(kinds) > 20
    unmoved = {name for name in kinds if case.unrotated and name.endswith(("wk.bias", "k_proj.bias"))}
    assert seeing.unmoving(directory, case.tokens, case.inputs, kinds) == unmoved


@pytest.mark.parametrize("case", [case for case in CASES if "minicpm" not in case.name], ids=lambda case: case.name)
def test_as_transformers_holds_them(case: Case, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Under other names than it writes: matrices apart that are published as one, heads turned, experts stacked."""
    directory = seeing.lively(saved(case.name), tmp_path / "m")
    before = seeing.ours(directory, case.tokens, case.inputs)
    seeing.as_held(directory)
    assert [finding for finding in weightscope.open(directory).check() if finding.severity != "info"] == []
    assert seeing.off(seeing.ours(directory, case.tokens, case.inputs), before) < 1e-5


def test_molmo2_as_published(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Ai2's names of its config's keys, more layers than are stored, and the table cut where the added tokens begin."""
    case = next(case for case in CASES if case.name == "molmo2")
    directory = seeing.lively(saved("molmo2"), tmp_path / "m")
    before, path = seeing.ours(directory, case.tokens, case.inputs), directory / "model.safetensors"
    tensors = load_file(path)
    names = [f"model.transformer.wte.{part}" for part in ("embedding", "new_embedding")]
    whole = torch.cat([tensors[name] for name in names])
    tensors |= {name: part.contiguous() for name, part in zip(names, (whole[:101], whole[101:]), strict=True)}
    save_file(tensors, path, metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text())
    vision, adapter = config.pop("vision_config"), config["adapter_config"]
    for old, new in (("image_size", "image_default_input_size"), ("patch_size", "image_patch_size")):
        vision[new] = vision.pop(old)
    vision["num_hidden_layers"], adapter["vit_layers"] = 5, [2, -5]
    del vision["num_position_embeddings"], adapter["vision_feature_layer"]
    (directory / "config.json").write_text(json.dumps(config | {"vit_config": vision}))
    assert [finding for finding in weightscope.open(directory).check() if finding.severity != "info"] == []
    np.testing.assert_array_equal(seeing.ours(directory, case.tokens, case.inputs), before)
    assert seeing.off(before, seeing.theirs(directory, case.tokens, case.inputs | dict(case.besides))) < 1e-4


def wrong(name: str, **changes: Any) -> tuple[Case, dict[str, Any]]:
    case = next(case for case in CASES if case.name == name)
    inputs = {key: value for key, value in (dict(case.inputs) | changes).items() if value is not None}
    return case, inputs


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("minimax_m3_vl", {"image_grid_thw": [[1, 4, 6], [2, 10, 4]]}, "several frames"),
        ("molmo2", {"image_grids": [[2, 3, 2, 2]]}, "15 windows, and image_grids tells 10"),
        ("molmo2", {"image_grids": [[2, 3, 2]]}, "not [images, 4]"),
        ("molmo2", {"image_grids": [[1 << 40, 1 << 40, 0, 0]]}, "an image has 1 to"),
        ("molmo2", {"image_token_pooling": [[0, 125]] * 15}, "names a patch that is none of the 125"),
        ("molmo2", {"image_token_pooling": [[-1, -1]] * 15}, "a window without a patch"),
        ("molmo2", {"image_num_crops": [1, 1]}, "5 crops of 2 images"),
        ("molmo2", {"pixel_values": torch.zeros(5, 24, 48)}, "not [crops, 25, 48]"),
        ("step3p7", {"num_local_patches": [2, 2]}, "3 windows"),
        ("step3p7", {"num_local_patches": None}, "go together"),
        ("step3p7", {"pixel_values_local": None}, "go together"),
        ("step3p7", {"pixel_values": torch.zeros(2, 3, 20, 24)}, "not [images, 3, side, side]"),
        ("step3p7", {"pixel_values": torch.zeros(2, 3, 21, 21)}, "a side is a multiple of 4"),
        ("minicpmv4_6", {"target_sizes": [[4, 8], [12, 9]]}, "multiples of 4"),
        ("minicpmv4_6", {"target_sizes": [[4, 8], [12, 12]]}, "pixel_values has shape"),
        ("minicpmv4_6", {"target_sizes": [[0, 8], [12, 8]]}, "a slice has 1 to"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(name: str, changes: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    case, inputs = wrong(name, **changes)
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved(name)).forward(case.tokens, **inputs)
    assert said in str(caught.value)
