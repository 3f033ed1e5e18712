"""Pixtral's, InternVL's and Kimi's towers: two images that are not alike, by transformers' own models; every tensor of
tower and projector matters.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.remote_code import REMOTE, write
from tests.families.remote_eyes import REMOTE_TOWERS
from tests.families.tiny import TINY
from tests.forward import seeing
from weightscope.errors import UsageError, WeightscopeError

TEXT = [1, 2, 3, 40, 50]
BY_NAME = {tiny.name: tiny for tiny in TINY}
NAMES = [
    "mistral3", "mistral3-tied-biases", "llava-pixtral", "lighton_ocr", "internvl", "internvl-tied-norms", "kimi_k25",
]  # fmt: skip
TOWERS = ["pixtral", "internvl_vision", "internvl_vision-norms"]
COMPUTED = [BY_NAME[name] for name in (*NAMES, *TOWERS)]
# Of each model, image sizes in pixels and what every image becomes, or the number of tiles.
SIZES = {
    "mistral3": ([16, 24], [24, 8]),
    "mistral3-tied-biases": ([24, 28], [12, 36]),
    "llava-pixtral": ([16, 24], [24, 8]),
    "lighton_ocr": ([16, 24], [24, 8]),
}
PATCHES = {"mistral3": 8, "mistral3-tied-biases": 12, "llava-pixtral": 4, "lighton_ocr": 8}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def images(name: str) -> tuple[dict[str, torch.Tensor], list[int]]:
    """What an image processor would make of two images, and how many image tokens each is."""
    if name in SIZES:
        sizes, patch = torch.tensor(SIZES[name]), PATCHES[name]
        pixels = noise(2, 3, int(sizes[:, 0].max()), int(sizes[:, 1].max()))
        counts = [(height // patch) * (width // patch) for height, width in sizes.tolist()]
        return {"pixel_values": pixels, "image_sizes": sizes}, counts
    if name.startswith("internvl"):
        return {"pixel_values": noise(3, 3, 28, 28)}, [8, 4]
    grids = torch.tensor([[1, 4, 6], [1, 8, 2]])
    return {"pixel_values": noise(40, 3, 4, 4), "image_grid_thw": grids}, [6, 4]


def tokens(counts: list[int]) -> list[int]:
    first, second = counts
    return [3, 7, *[95] * first, 8, 9, *[95] * second, 11, 12]


@pytest.mark.parametrize("name", NAMES)
def test_two_images_and_text_alone(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    inputs, counts = images(name)
    ids = tokens(counts)
    assert seeing.off(seeing.ours(directory, ids, inputs), seeing.theirs(directory, ids, inputs)) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4


# A shift of all scores of a query changes no softmax.
SHIFTS = {f"vision_tower.encoder.layer.{layer}.attention.k_proj.bias" for layer in range(3)}


@pytest.mark.parametrize(
    ("name", "unmoved"),
    [("mistral3", set()), ("internvl", SHIFTS), ("internvl-tied-norms", set()), ("kimi_k25", set())],
)
def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(
    name: str, unmoved: set[str], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    inputs, counts = images(name)
    names = [name for name in load_file(directory / "model.safetensors") if "language_model" not in name]
    assert seeing.unmoving(directory, tokens(counts), inputs, names) == unmoved


@pytest.mark.parametrize("name", NAMES)
def test_as_transformers_holds_it(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """A state dict, saved without transformers' renaming."""
    directory = seeing.lively(saved(name), tmp_path / "m")
    inputs, counts = images(name)
    before, ids = seeing.ours(directory, tokens(counts), inputs), tokens(counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForImageTextToText.from_pretrained(directory)
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    save_file(state, directory / "model.safetensors")
    opened = weightscope.open(directory)
    assert opened.summary().tensors.unrecognized == ()
    assert [finding for finding in opened.check() if finding.severity != "info"] == []
    assert seeing.off(seeing.ours(directory, ids, inputs), before) < 1e-5


@pytest.mark.parametrize("name", TOWERS)
def test_towers_alone(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    oracle = BY_NAME[name].build()
    pixels = noise(1, 3, 28, 28)
    with torch.no_grad():
        expected = oracle(pixels).last_hidden_state[0]
    found = weightscope.open(saved(name)).forward(pixel_values=pixels).output
    assert seeing.off(torch.as_tensor(found), expected) < 1e-4


def test_intern_vit_alone_as_published(tmp_path: Path) -> None:
    (remote,) = REMOTE_TOWERS
    oracle = remote.oracle.build()
    oracle.save_pretrained(tmp_path / "plain")
    write(remote, tmp_path, remote.rewrite(load_file(tmp_path / "plain" / "model.safetensors")))
    model = weightscope.open(tmp_path)
    assert model.parameters.total == oracle.num_parameters()
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    pixels = noise(1, 3, 28, 28)
    with torch.no_grad():
        expected = oracle(pixels).last_hidden_state[0]
    assert seeing.off(torch.as_tensor(model.forward(pixel_values=pixels).output), expected) < 1e-4


def test_pixtral_alone_takes_images_of_several_sizes(saved: Callable[[str], Path]) -> None:
    inputs, _ = images("mistral3")
    with torch.no_grad():
        expected = BY_NAME["pixtral"].build()(**inputs).last_hidden_state[0]
    model = weightscope.open(saved("pixtral"))
    found = model.forward(pixel_values=inputs["pixel_values"], image_sizes=inputs["image_sizes"]).output
    assert seeing.off(torch.as_tensor(found), expected) < 1e-4


@pytest.mark.parametrize("name", ["internvl_chat", "internvl_chat-internlm2-norms", "kimi_vl"])
def test_published_with_code_of_their_own(name: str, tmp_path: Path) -> None:
    """Rewritten into the published layout, a model sees the same."""
    remote = next(remote for remote in REMOTE if remote.name == name)
    plain, published = tmp_path / "plain", tmp_path / "published"
    published.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        remote.oracle.build().save_pretrained(plain)
    directory = seeing.lively(plain, tmp_path / "m")
    write(remote, published, remote.rewrite(load_file(directory / "model.safetensors")))
    inputs, counts = images("kimi_k25" if name == "kimi_vl" else "internvl")
    ids = tokens(counts)
    expected = seeing.theirs(directory, ids, inputs)
    if name == "kimi_vl":
        inputs["image_grid_hws"] = inputs.pop("image_grid_thw")[:, 1:]
    assert seeing.off(seeing.ours(published, ids, inputs), expected) < 1e-4


def test_kimi_as_published(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """5.23 writes some names otherwise than Moonshot has them."""
    directory = seeing.lively(saved("kimi_k25"), tmp_path / "m")
    inputs, counts = images("kimi_k25")
    before = seeing.ours(directory, tokens(counts), inputs)
    renamed = {}
    for name, tensor in load_file(directory / "model.safetensors").items():
        new = name.replace("model.blocks.", "model.layers.").replace("model.mm_projector.", "mm_projector.")
        renamed[new.replace("encoder.patch_embed.", "patch_embed.")] = tensor
    save_file(renamed, directory / "model.safetensors")
    opened = weightscope.open(directory)
    assert opened.summary().tensors.unrecognized == ()
    assert [finding for finding in opened.check() if finding.severity != "info"] == []
    assert torch.equal(seeing.ours(directory, tokens(counts), inputs), before)


@pytest.mark.parametrize("name", NAMES)
def test_eye_bridge_and_language_are_counted_apart(name: str, saved: Callable[[str], Path]) -> None:
    parameters = {key: p.numel() for key, p in BY_NAME[name].build().named_parameters()}
    counted = {c.component: c.parameters for c in weightscope.open(saved(name)).components}
    assert counted["vision"] == sum(
        n for key, n in parameters.items() if key.startswith(("model.vision_tower.", "model.vision_encoder."))
    )
    bridges = ("projector", "vision_projection")
    assert counted["projector"] == sum(n for key, n in parameters.items() if any(name in key for name in bridges))


PIXELS = noise(2, 3, 24, 24)


@pytest.mark.parametrize(
    ("name", "inputs", "said"),
    [
        ("mistral3", {"pixel_values": PIXELS}, "image_sizes is missing"),
        ("mistral3", {"pixel_values": PIXELS[0], "image_sizes": [[16, 24]]}, "not [images, 3, height, width]"),
        ("mistral3", {"pixel_values": PIXELS, "image_sizes": [[16, 24]]}, "image_sizes has shape [1, 2]"),
        ("mistral3", {"pixel_values": PIXELS, "image_sizes": [[16, 24], [28, 8]]}, "at most [24, 24]"),
        ("mistral3", {"pixel_values": PIXELS, "image_sizes": [[16, 24], [3, 8]]}, "has at least 4"),
        ("mistral3", {"pixel_values": PIXELS, "image_sizes": [[16, 24], [8, 8]]}, "image tokens (id 95)"),
        ("internvl", {"pixel_values": noise(3, 3, 28, 21)}, "takes [3, 28, 28]"),
        ("internvl", {"pixel_values": noise(3, 3, 28, 28), "num_patches": [1, 1]}, "has 3 tiles"),
        ("internvl", {"pixel_values": noise(3, 3, 28, 28), "num_patches": [[3]]}, "not [images]"),
        ("kimi_k25", {"pixel_values": noise(24, 3, 4, 4)}, "image_grid_thw is missing"),
        ("kimi_k25", {"pixel_values": noise(24, 3, 4, 4), "image_grid_thw": [[1, 4, 5]]}, "multiples of 2"),
        ("kimi_k25", {"pixel_values": noise(24, 3, 4, 4), "image_grid_thw": [[2, 4, 6]]}, "one frame"),
        ("kimi_k25", {"pixel_values": noise(24, 3, 4, 4), "image_grid_thw": [[1, 4, 1 << 40]]}, "an image has 1 to"),
        ("kimi_k25", {"pixel_values": noise(24, 48), "image_grid_thw": [[1, 4, 6]]}, "tells [24, 3, 4, 4]"),
        ("kimi_k25", {"pixel_values": noise(24, 3, 4, 4), "image_grid_thw": [4, 6]}, "not [images, 3]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(name: str, inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved(name)).forward(tokens([6, 3]), **inputs)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ps_version": "v1"}, "ps_version"),
        ({"force_image_size": 56}, "force_image_size"),
        ({"img_context_token_id": None}, "img_context_token_id"),
    ],
)
def test_an_internvl_chat_that_is_not_computed_says_why(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    remote = next(remote for remote in REMOTE if remote.name == "internvl_chat")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        remote.oracle.build().save_pretrained(tmp_path / "plain")
    write(remote, tmp_path, remote.rewrite(load_file(tmp_path / "plain" / "model.safetensors")))
    config = json.loads((tmp_path / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    with pytest.raises(WeightscopeError, match=said):
        model.forward(TEXT)
