"""LLaVA's own layout with the tower inside: names and counts by transformers' LLaVA-NeXT of the same sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.declaration import declare

TEXT = {
    "vocab_size": 32000, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 4,
}  # fmt: skip
FLAT = TEXT | {
    "model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"], "mm_hidden_size": 1024,
    "mm_projector_type": "mlp2x_gelu", "mm_patch_merge_type": "spatial_unpad", "unfreeze_mm_vision_tower": True,
    "mm_vision_tower": "openai/clip-vit-large-patch14-336", "mm_vision_select_layer": -2, "dtype": "float16",
}  # fmt: skip
TOWERS = {
    "openai/clip-vit-large-patch14-336": {
        "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16, "image_size": 336, "patch_size": 14,
    },
    # LLaVA-NeXT's code drops the last of its 27 layers, and the head.
    "google/siglip-so400m-patch14-384": {
        "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26,
        "num_attention_heads": 16, "image_size": 384, "patch_size": 14, "vision_use_head": False,
    },
}  # fmt: skip
NAMES = {
    "model.language_model.": "model.", "vision_tower.": "vision_tower.vision_tower.vision_model.",
    "multi_modal_projector.linear_1": "mm_projector.0", "multi_modal_projector.linear_2": "mm_projector.2",
}  # fmt: skip


def published_as(tower: str) -> tuple[dict[str, int], int]:
    """Names as LLaVA's repository has them with their elements, from transformers' model on no device; their count."""
    config = transformers.LlavaNextConfig(text_config=TEXT | {"model_type": "llama"}, vision_config=TOWERS[tower])
    with torch.device("meta"):
        model = transformers.LlavaNextForConditionalGeneration(config)
    names = {}
    for name, parameter in model.named_parameters():
        published = name
        for old, new in NAMES.items():
            published = published.replace(old, new)
        names[published] = parameter.numel()
    return names, model.num_parameters()


def opened(directory: Path, config: dict[str, Any], names: dict[str, int]) -> weightscope.Model:
    index = {"metadata": {"total_size": 2 * sum(names.values())}, "weight_map": dict.fromkeys(names, "a.safetensors")}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return weightscope.open(directory / "model.safetensors.index.json")


@pytest.mark.parametrize("tower", TOWERS)
def test_the_tower_within(tower: str, tmp_path: Path) -> None:
    names, count = published_as(tower)
    config = FLAT | {"mm_vision_tower": tower, "mm_hidden_size": TOWERS[tower]["hidden_size"]}
    model = opened(tmp_path, config, names)
    assert [finding.code for finding in model.check() if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    assert model.parameters.total == count
    assert weightscope.open(tmp_path / "config.json").parameters.total == count
    counted = {c.component: c.parameters for c in model.components}
    assert counted["vision"] == sum(n for name, n in names.items() if "vision_tower" in name)
    assert counted["projector"] == sum(n for name, n in names.items() if "mm_projector" in name or "newline" in name)


def test_where_the_tower_is_the_files_say(tmp_path: Path) -> None:
    names, _ = published_as("openai/clip-vit-large-patch14-336")
    for unfrozen in (True, False):
        for inside in (True, False):
            there = {name: n for name, n in names.items() if inside or "vision_tower" not in name}
            directory = tmp_path / f"{unfrozen}{inside}"
            directory.mkdir()
            model = opened(directory, FLAT | {"unfreeze_mm_vision_tower": unfrozen}, there)
            assert model.parameters.total == sum(there.values())
            codes = {finding.code for finding in model.check() if finding.severity == "error"}
            assert codes == set()


def test_one_matrix(tmp_path: Path) -> None:
    """The first versions, and LISA's, have a single matrix and do not name its type."""
    names, _ = published_as("openai/clip-vit-large-patch14-336")
    others = ("vision_tower", "mm_projector", "newline")
    there = {name: n for name, n in names.items() if not any(part in name for part in others)}
    there |= {"model.mm_projector.weight": 64 * 1024, "model.mm_projector.bias": 64}
    config = {key: value for key, value in FLAT.items() if key not in ("mm_projector_type", "mm_patch_merge_type")}
    model = opened(tmp_path, config | {"model_type": "llava", "unfreeze_mm_vision_tower": False}, there)
    assert [finding.code for finding in model.check() if finding.severity != "info"] == []
    assert {c.component: c.parameters for c in model.components}["projector"] == 64 * 1024 + 64


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"mm_vision_tower": "./towers/eva02"}, "mm_vision_tower 'eva02' is not declared"),
        ({"mm_projector_type": "resampler"}, "mm_projector_type 'resampler' is not declared"),
        ({"architectures": ["LISAForCausalLM"]}, "LISA"),
    ],
)
def test_what_is_not_declared_is_refused_by_name(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(UndeclaredError, match=said):
        declare(Config(FLAT | keys))
