"""Gemmas that see through SigLIP: two images and text alone, by transformers' own models; every tensor matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_gemma_eyes import GEMMA2, GEMMA3, MARKS, SIGLIP, WHOLE
from tests.forward import seeing

MORE = [
    Tiny("gemma3-narrow-window", "Gemma3", MARKS | {
        "text_config": GEMMA3 | {"sliding_window": 3}, "vision_config": SIGLIP, "mm_tokens_per_image": 16,
    }, WHOLE),
    Tiny("gemma3-capped", "Gemma3", MARKS | {
        "text_config": GEMMA3 | {"final_logit_softcapping": 0.5}, "vision_config": SIGLIP | {"layer_norm_eps": 0.1},
        "mm_tokens_per_image": 4,
    }, WHOLE),
    Tiny("paligemma-2-narrow-window", "PaliGemma", {
        "text_config": GEMMA2 | {"sliding_window": 3}, "vision_config": SIGLIP, "projection_dim": 24,
        "image_token_index": 103,
    }, WHOLE),
]  # fmt: skip
SEEING = [t for t in TINY if t.kind in ("Gemma3", "PaliGemma")]
COMPUTED = [*SEEING, *MORE, *(t for t in TINY if t.kind == "ShieldGemma2")]
TEXT = [1, 2, 3, 40, 50, 9, 8, 7]


def sized(tiny: Tiny) -> tuple[int, int, int]:
    """Pixels of a side, the image token, tokens of an image."""
    side, token = tiny.keys["vision_config"]["image_size"], tiny.keys["image_token_index"]
    return side, token, tiny.keys.get("mm_tokens_per_image", (side // 7) ** 2)


def pixels(tiny: Tiny, count: int = 2) -> torch.Tensor:
    side = sized(tiny)[0]
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def tokens(tiny: Tiny) -> list[int]:
    """Two images, text between and after."""
    _, token, each = sized(tiny)
    return [3, 96, *[token] * each, 97, 7, 9, 96, *[token] * each, 97, 11, 12]


def theirs(directory: Path, tiny: Tiny, ids: list[int], images: torch.Tensor | None) -> torch.Tensor:
    """With the token types that their processors make: PaliGemma's are 0 for a prompt, Gemma 3's 1 for an image."""
    given = torch.tensor([ids])
    image = given == tiny.keys["image_token_index"]
    kinds: dict[str, Any] = {"token_type_ids": (image & (tiny.kind == "Gemma3")).int()}
    return seeing.theirs(directory, ids, kinds | ({} if images is None else {"pixel_values": images}))


def made(tiny: Tiny, tmp_path: Path) -> Path:
    tiny.build().save_pretrained(tmp_path / "as built")
    return seeing.lively(tmp_path / "as built", tmp_path / "m")


@pytest.mark.parametrize("tiny", [*SEEING, *MORE], ids=lambda tiny: tiny.name)
def test_two_images_and_text_alone(tiny: Tiny, tmp_path: Path) -> None:
    directory = made(tiny, tmp_path)
    ids, images = tokens(tiny), pixels(tiny)
    found = seeing.ours(directory, ids, {"pixel_values": images})
    assert seeing.off(found, theirs(directory, tiny, ids, images)) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), theirs(directory, tiny, TEXT, None)) < 1e-4
    # Another second image is another answer.
    assert seeing.off(seeing.ours(directory, ids, {"pixel_values": images[[0, 0]]}), found) > 1e-2


@pytest.mark.parametrize("name", ["gemma3", "gemma3-odd-squares", "paligemma", "paligemma-2"])
def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(name: str, tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    directory = made(tiny, tmp_path)
    names = [name for name in load_file(directory / "model.safetensors") if "vision" in name or "projector" in name]
    still = seeing.unmoving(directory, tokens(tiny), {"pixel_values": pixels(tiny)}, names)
    # A bias of the keys adds the same to all scores of a query. SigLIP's pooling head makes one vector of an image,
    # which no language model gets.
    assert {name for name in still if not name.endswith("k_proj.bias") and ".head." not in name} == set()
    assert len(names) > 30


def test_shieldgemma_answers_yes_or_no(tmp_path: Path) -> None:
    """Its probabilities are those of two of the logits after the last token."""
    tiny = next(tiny for tiny in TINY if tiny.name == "shieldgemma2")
    config = transformers.ShieldGemma2Config(**tiny.keys, yes_token_index=41, no_token_index=17)
    torch.manual_seed(3)
    model = transformers.ShieldGemma2ForImageClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5)
    model.save_pretrained(tmp_path)
    ids, images = tokens(tiny), pixels(tiny)
    given = torch.tensor([ids])
    with torch.no_grad():
        answer = model(input_ids=given, pixel_values=images, token_type_ids=(given == 103).int()).logits[0]
    logits = seeing.ours(tmp_path, ids, {"pixel_values": images})
    assert seeing.off(logits[-1, [41, 17]], answer) < 1e-4


# How else a published tensor's name begins: as 4.52 and 5 hold it in memory.
SPELLINGS = [
    {"vision_tower.": "vision_tower.vision_model."},
    {"vision_tower.": "model.vision_tower.vision_model.", "multi_modal_projector.": "model.multi_modal_projector.",
     "language_model.model.": "model.language_model.", "language_model.lm_head.": "lm_head."},
    {"vision_tower.": "model.vision_tower.", "multi_modal_projector.": "model.multi_modal_projector.",
     "language_model.model.": "model.language_model.", "language_model.lm_head.": "lm_head."},
]  # fmt: skip
BELOW_MODEL = {"vision_tower.": "model.vision_tower.vision_model.", "language_model.": "model.language_model.",
               "multi_modal_projector.": "model.multi_modal_projector."}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spelling"),
    [(name, spelling) for name in ("gemma3-odd-squares", "paligemma-2", "shieldgemma2") for spelling in SPELLINGS]
    + [("shieldgemma2", BELOW_MODEL)],
)
def test_other_spellings(name: str, spelling: dict[str, str], saved: Callable[[str], Path], tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    images, ids = pixels(tiny), tokens(tiny)
    before = seeing.ours(saved(name), ids, {"pixel_values": images})
    renamed = {}
    for key, tensor in load_file(saved(name) / "model.safetensors").items():
        own = key.removeprefix("model.model.")
        start = next((old for old in spelling if own.startswith(old)), "")
        # ShieldGemma 2 is held below `model`.
        held = "model." if name == "shieldgemma2" and "language_model.model." in spelling else ""
        renamed[held + spelling.get(start, "") + own.removeprefix(start)] = tensor
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    save_file(renamed, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    assert [finding.code for finding in model.check() if finding.severity != "info"] == []
    np.testing.assert_array_equal(seeing.ours(tmp_path, ids, {"pixel_values": images}), before)


def test_a_projector_that_does_not_fit_is_said(saved: Callable[[str], Path], tmp_path: Path) -> None:
    config = json.loads((saved("paligemma") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"projection_dim": 22}))
    (finding,) = (f for f in weightscope.open(tmp_path / "config.json").check() if f.severity == "error")
    assert "the projector puts out 22 features, but the language model's hidden size is 24" in finding.message


def test_more_tokens_than_patches_are_refused(saved: Callable[[str], Path], tmp_path: Path) -> None:
    config = json.loads((saved("gemma3") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"mm_tokens_per_image": 25}))
    with pytest.raises(
        weightscope.WeightscopeError, match="mm_tokens_per_image is 25, but an image has only 16 patches"
    ):
        weightscope.open(tmp_path / "config.json")
