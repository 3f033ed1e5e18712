"""Aria, ERNIE 4.5 VL and HunyuanOCR with two images, by transformers' own models; every tensor of the eye matters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.remote_code import REMOTE, write
from tests.families.tiny import TINY
from tests.forward import seeing
from weightscope.errors import NotImplementedByWeightscope, UsageError, WeightscopeError

WHOLE = "ForConditionalGeneration"
COMPUTED = [tiny for tiny in TINY if tiny.kind in ("Aria", "Ernie4_5_VLMoe", "HunYuanVL") and tiny.model == WHOLE]
TEXT = [1, 2, 3, 40, 50]
GRIDS = torch.tensor([[1, 4, 6], [1, 10, 8]])
PATCHES = torch.randn(int(GRIDS.prod(-1).sum()), 3 * 4 * 4, generator=torch.Generator().manual_seed(1))
GRIDDED: dict[str, Any] = {"pixel_values": PATCHES, "image_grid_thw": GRIDS}
# Of the second crop the image covers three columns of patches, of the last of them one pixel, and two rows.
MASK = torch.ones(2, 28, 28, dtype=torch.bool)
MASK[1, 14:] = False
MASK[1, :, 15:] = False
CROPS: dict[str, Any] = {
    "pixel_values": torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1)), "pixel_mask": MASK,
}  # fmt: skip
IMAGES = {"aria": CROPS, "ernie": GRIDDED, "hunyuan": GRIDDED}
TOKENS = {
    "aria": [3, *[99] * 5, 7, 9, *[99] * 5, 11, 12],
    "ernie": [3, 97, *[95] * 6, 98, 7, 9, 97, *[95] * 20, 98, 11, 12],
    "hunyuan": [3, 97, *[95] * 10, 98, 7, 9, 97, *[95] * 27, 98, 11, 12],
}


def model_of(name: str) -> str:
    return next(start for start in TOKENS if name.startswith(start))


def marks(tokens: list[int], name: str) -> dict[str, Any]:
    """What transformers' processors say of tokens besides."""
    ids = torch.tensor([tokens])
    kinds = {"mm_token_type_ids": (ids == 95).int()}
    own = {"moe_mm_token_type_ids": torch.isin(ids, torch.tensor([95, 97, 98])).int()}
    return {"aria": {}, "ernie": kinds | own, "hunyuan": kinds}[model_of(name)]


def lively(name: str, saved: Callable[[str], Path], target: Path) -> Path:
    return seeing.lively(saved(name), target)


@pytest.mark.parametrize("tiny", COMPUTED, ids=lambda tiny: tiny.name)
def test_two_images_and_text_alone(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory, kind = lively(tiny.name, saved, tmp_path / "m"), model_of(tiny.name)
    tokens, images = TOKENS[kind], IMAGES[kind]
    expected = seeing.theirs(directory, tokens, images | marks(tokens, tiny.name))
    assert seeing.off(seeing.ours(directory, tokens, images), expected) < 1e-4
    other = images | {"pixel_values": images["pixel_values"].flip(0)}
    assert seeing.off(seeing.ours(directory, tokens, other), expected) > 1e-2
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4


# A bias on keys shifts all scores of a query alike, which softmax does not see.
UNSEEN = ("self_attn.k_proj.bias",)
# What no pass uses: a norm after the layer that is looked at, a vector that is nowhere written.
UNUSED = {
    "aria": {"vision_tower.post_layernorm.weight", "vision_tower.post_layernorm.bias"},
    "ernie4_5_vl_moe": set(),
    "hunyuan_vl": {"vit.perceive.image_sep"},
}


@pytest.mark.parametrize("name", UNUSED)
def test_every_tensor_of_the_eye_moves_the_logits(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory, kind = lively(name, saved, tmp_path / "m"), model_of(name)
    tensors = load_file(directory / "model.safetensors")
    eye = [key for key in tensors if not key.startswith(("language_model", "model.layers", "model.norm", "lm_head"))]
    # Of equal layers one; of the language model what only images use.
    names = [key for key in eye if "s.1." not in key and "embed_tokens" not in key]
    names += [key for key in tensors if "layers.1." in key and key.endswith(("gate.weight_1", "correction_bias"))]
    still = seeing.unmoving(directory, TOKENS[kind], IMAGES[kind], names)
    assert still == UNUSED[name] | {key for key in names if key.endswith(UNSEEN)}


def test_crops_of_a_smaller_size(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Four patches ask for three queries; without a mask all of them show."""
    directory = lively("aria", saved, tmp_path / "m")
    images, tokens = {"pixel_values": CROPS["pixel_values"][:, :, 5:19, 5:19]}, [3, *[99] * 3, 7, *[99] * 3]
    expected = seeing.theirs(directory, tokens, images)
    assert seeing.off(seeing.ours(directory, tokens, images), expected) < 1e-4


@pytest.mark.parametrize("tiny", COMPUTED, ids=lambda tiny: tiny.name)
def test_as_transformers_holds_them(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory, kind = lively(tiny.name, saved, tmp_path / "m"), model_of(tiny.name)
    before = seeing.ours(directory, TOKENS[kind], IMAGES[kind])
    state = seeing.as_held(directory)
    assert "model.layers.0.input_layernorm.weight" not in state
    assert [finding for finding in weightscope.open(directory).check() if finding.severity != "info"] == []
    assert seeing.off(seeing.ours(directory, TOKENS[kind], IMAGES[kind]), before) < 1e-5
    if kind == "aria":
        # As transformers 4.5x held it: the experts have their published names.
        ends = {".gate_up_proj": ".fc1.weight", ".down_proj": ".fc2.weight"}
        renamed = {key: tensor for key, tensor in state.items() if ".mlp.experts." not in key}
        for key, tensor in state.items():
            for end, published in ends.items():
                if ".mlp.experts" in key and key.endswith(end):
                    renamed[key.removesuffix(end) + published] = tensor
        save_file(renamed, directory / "model.safetensors", metadata={"format": "pt"})
        assert seeing.off(seeing.ours(directory, TOKENS[kind], IMAGES[kind]), before) < 1e-5


def mlx_ernie(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What mlx-vlm makes of ERNIE 4.5 VL: the two mixtures of a layer beside each other."""
    found = {}
    for key, tensor in state.items():
        name = re.sub(r"^model\.language_model\.", "language_model.model.", key)
        name = re.sub(r"^model\.", "", name)
        name = re.sub(r"_linear\.(fc1|fc2|ln)\.", lambda found: f"_linear.layers.{PAIR[found[1]]}.", name)
        part = re.match(r"(.*\.mlp)\.(text|vision)_moe\.(.*)", name)
        stem, kind, rest = part.groups() if part else ("", "", "")
        end = "_1" if kind == "vision" else ""
        if rest == "gate.weight":
            found[f"{stem}.gate{end}.weight"] = tensor
        elif rest.startswith("gate.moe_statics"):
            found[f"{stem}.e_score_correction_bias{end}"] = tensor[0]
        elif rest == "experts.gate_up_proj":
            for role, half in zip(("gate_proj", "up_proj"), tensor.chunk(2, dim=1), strict=True):
                found[f"{stem}.switch_mlp{end}.{role}.weight"] = half
        elif rest:
            found[f"{stem}.switch_mlp{end}.down_proj.weight"] = tensor
        else:
            found[name.replace("lm_head", "language_model.lm_head")] = tensor
    return found


PAIR = {"fc1": 0, "fc2": 2, "ln": 3}


def mlx_hunyuan(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What mlx-vlm makes of HunyuanOCR's published names: kernels have their input channels last."""
    return {
        re.sub("^vit", "vision_tower", re.sub("^(model|lm_head)", r"language_model.\1", key)): (
            tensor.movedim(1, -1) if tensor.ndim == 4 else tensor
        )
        for key, tensor in state.items()
    }


@pytest.mark.parametrize("name", ["ernie4_5_vl_moe-untied", "ernie4_5_vl_moe", "hunyuan_vl", "hunyuan_vl-untied"])
def test_as_mlx_has_them(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory, kind = lively(name, saved, tmp_path / "m"), model_of(name)
    before, path = seeing.ours(directory, TOKENS[kind], IMAGES[kind]), directory / "model.safetensors"
    state = dict(load_file(path))
    if kind == "ernie":
        model = transformers.AutoModelForImageTextToText.from_pretrained(directory)
        tied = model.config.tie_word_embeddings
        state = {key: t for key, t in model.state_dict().items() if key != "lm_head.weight" or not tied}
    made = {"ernie": mlx_ernie, "hunyuan": mlx_hunyuan}[kind](state)
    save_file({key: tensor.contiguous() for key, tensor in made.items()}, path, metadata={"format": "mlx"})
    assert [finding for finding in weightscope.open(directory).check() if finding.severity != "info"] == []
    assert seeing.off(seeing.ours(directory, TOKENS[kind], IMAGES[kind]), before) < 1e-5


def test_baidus_own_config(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """ERNIE 4.5 VL as first published: flat, and the tower beside the model."""
    directory = lively("ernie4_5_vl_moe", saved, tmp_path / "m")
    before = seeing.ours(directory, TOKENS["ernie"], GRIDDED)
    baidu = next(remote for remote in REMOTE if remote.name == "ernie4_5_moe_vl")
    write(baidu, directory, baidu.rewrite(dict(load_file(directory / "model.safetensors"))))
    assert seeing.off(seeing.ours(directory, TOKENS["ernie"], GRIDDED), before) < 1e-5


def test_hunyuans_first_config(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Flat, with other names of the rotation; transformers reads both alike."""
    directory = lively("hunyuan_vl", saved, tmp_path / "m")
    before, path = seeing.ours(directory, TOKENS["hunyuan"], GRIDDED), directory / "config.json"
    config = json.loads(path.read_text())
    text = config.pop("text_config")
    scaling = {
        "type": "xdrope",
        "alpha": 50.0,
        "factor": 1.0,
        "xdrope_section": text["rope_parameters"]["mrope_section"],
    }
    del text["model_type"], text["rope_parameters"]
    path.write_text(json.dumps(config | text | {"rope_scaling": scaling, "rope_theta": 1e4}))
    expected = seeing.theirs(directory, TOKENS["hunyuan"], GRIDDED | marks(TOKENS["hunyuan"], "hunyuan"))
    found = seeing.ours(directory, TOKENS["hunyuan"], GRIDDED)
    assert seeing.off(found, before) < 1e-5
    assert seeing.off(found, expected) < 1e-4


@pytest.mark.parametrize(
    ("name", "inputs", "said"),
    [
        ("aria", {"pixel_values": torch.ones(1, 3, 21, 28)}, "crops of 3 × 4 patches; the projector takes 4 or 16"),
        ("aria", CROPS | {"pixel_mask": MASK[:1]}, r"pixel_mask has shape \[1, 28, 28\]"),
        ("aria", CROPS | {"pixel_mask": ~MASK}, "pixel_mask hides the first patch"),
        ("aria", {"pixel_mask": MASK}, "pixel_values is missing"),
        ("ernie4_5_vl_moe", GRIDDED | {"image_grid_thw": GRIDS[:, [1, 0, 2]]}, "height and width are multiples of 2"),
        (
            "ernie4_5_vl_moe",
            GRIDDED | {"image_grid_thw": torch.tensor([[2, 6, 2], [1, 10, 8]])},
            "an image has 1 frame",
        ),
        ("hunyuan_vl", GRIDDED | {"image_grid_thw": torch.tensor([[2, 6, 2], [1, 10, 8]])}, "an image is 1 frame"),
    ],
)
def test_what_does_not_fit_is_said(name: str, inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved(name)).forward(TOKENS[model_of(name)], **inputs)


def faulty(directory: Path, target: Path, part: str, **keys: object) -> Path:
    """That folder's config with other keys of a part of it, or of itself."""
    config = json.loads((directory / "config.json").read_text())
    (config[part] if part else config).update(keys)
    (target / "config.json").write_text(json.dumps(config))
    return target / "config.json"


SECTIONS = {"rope_type": "default", "rope_theta": 1e4}


@pytest.mark.parametrize(
    ("name", "part", "keys", "said"),
    [
        ("aria", "", {"projector_patch_to_query_dict": {"a": 1}}, "not numbers of queries by numbers of patches"),
        ("aria", "", {"projector_patch_to_query_dict": {}}, "not numbers of queries by numbers of patches"),
        ("aria", "", {"vision_feature_layer": 9}, "vision_feature_layer is 9"),
        ("aria", "vision_config", {"model_type": "siglip_vision_model"}, "'siglip_vision_model' is not declared"),
        ("ernie4_5_vl_moe", "text_config", {"moe_intermediate_size": [14]}, "not two sizes"),
        ("ernie4_5_vl_moe", "text_config", {"moe_intermediate_size": [14, "a"]}, "positive whole numbers"),
        ("ernie4_5_vl_moe", "text_config", {"mlp_layer_types": ["dense"]}, "mlp_layer_types has 1 entry"),
        ("hunyuan_vl", "text_config", {"rope_parameters": SECTIONS | {"mrope_section": [1]}}, "half of a head, 8"),
        (
            "hunyuan_vl", "text_config",
            {"rope_parameters": SECTIONS | {"mrope_section": [2, 3, 3], "xdrope_section": [3, 3, 2]}}, "which differ",
        ),
    ],
)  # fmt: skip
def test_configs_that_do_not_fit_are_said(
    name: str, part: str, keys: dict[str, Any], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(WeightscopeError, match=said):
        weightscope.open(faulty(saved(name), tmp_path, part, **keys)).check()


@pytest.mark.parametrize(
    ("name", "part", "keys", "said"),
    [
        ("ernie4_5_vl_moe", "text_config", {"rope_parameters": SECTIONS | {"rope_type": "linear"}}, "scaling 'linear'"),
        (
            "ernie4_5_vl_moe",
            "text_config",
            {"rope_parameters": SECTIONS | {"mrope_section": [1, 2, 3]}},
            "an mrope_section",
        ),
        ("hunyuan_vl", "vision_config", {"interpolate_mode": "bicubic"}, "interpolate_mode 'bicubic'"),
        ("hunyuan_vl", "text_config", {"rope_parameters": SECTIONS}, "and there are 0"),
        ("hunyuan_vl", "text_config", {"rope_parameters": SECTIONS | {"mrope_section": [4, 4]}}, "and there are 2"),
    ],
)
def test_maths_that_is_not_computed_is_said(
    name: str, part: str, keys: dict[str, Any], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Each of these transformers refuses, too, or cannot run, but for the bicubic positions."""
    faulty(saved(name), tmp_path, part, **keys)
    (tmp_path / "model.safetensors").symlink_to(saved(name) / "model.safetensors")
    with pytest.raises(NotImplementedByWeightscope, match=said):
        weightscope.open(tmp_path).forward(TOKENS[model_of(name)], **GRIDDED)


def test_a_token_of_a_text_uses_no_experts_for_images(saved: Callable[[str], Path]) -> None:
    """Counted on transformers' own modules, but for the corrections, which lie in one table."""
    tiny = next(tiny for tiny in TINY if tiny.name == "ernie4_5_vl_moe")
    sizes = {name: parameter.numel() for name, parameter in tiny.build().named_parameters()}
    unused = sum(size for name, size in sizes.items() if "vision_moe" in name and "moe_statics" not in name)
    experts = sum(size for name, size in sizes.items() if "text_moe.experts" in name)
    assert weightscope.open(saved(tiny.name)).parameters.active == sum(sizes.values()) - unused - experts * 3 // 5
