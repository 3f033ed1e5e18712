"""Phi-4-multimodal against transformers: images that are not square, text alone, and that every tensor matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_phi4 import TINY_PHI4
from tests.forward import seeing
from weightscope.errors import UsageError

Run = Callable[..., tuple[int, str, str]]
COMPUTED = TINY_PHI4
every_phi4 = pytest.mark.parametrize("tiny", TINY_PHI4, ids=lambda tiny: tiny.name)
MARK, TEXT = 95, [7, 3, 98, 0, 42, 17]


def lively(tiny: Tiny, target: Path) -> Any:
    model = seeing.enlivened(tiny.build())
    model.save_pretrained(target)
    return model.eval()


def images(tiny: Tiny) -> dict[str, Any]:
    """Two images: of 2 × 1 tiles, the last two rows of patches padding, and of 1 × 2, the last three columns.

    Made as `Phi4MultimodalImageProcessor` lays them out: the whole first, what is missing at the end zeros.
    """
    side = tiny.keys["vision_config"]["image_size"]
    patches = side // 4
    pixels = torch.randn(2, 4, 3, side, side, generator=torch.Generator().manual_seed(4))
    pixels[:, 3:] = 0
    mask = torch.ones(2, 4, patches, patches)
    mask[0, 2, -2:] = 0
    mask[1, 2, :, -3:] = 0
    sizes = torch.tensor([[2 * side, side], [side, 2 * side]])
    return {"image_pixel_values": pixels, "image_sizes": sizes, "image_attention_mask": mask}


def counts(tiny: Tiny) -> tuple[int, int]:
    """As `Phi4MultimodalImageProcessor` counts tokens, of another size of tile: with half a patch rounded up."""
    side = (tiny.keys["vision_config"]["image_size"] // 4 + 1) // 2
    whole = side * (side + 1) + 1
    # What the masks of 7 or 6 patches leave at every other place.
    tall, wide = (7, 6) if side == 4 else (5, 5)
    return tall * (side + 1) + whole, side * (wide + 1) + whole


def tokens(tiny: Tiny) -> list[int]:
    first, second = counts(tiny)
    return [5, *[MARK] * first, 8, 9, *[MARK] * second, *TEXT]


def theirs(model: Any, ids: list[int], inputs: dict[str, Any]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids]), **inputs).logits[0]
    return logits


@every_phi4
def test_two_images_and_text_alone(tiny: Tiny, tmp_path: Path) -> None:
    model = lively(tiny, tmp_path)
    model.set_attn_implementation("eager")
    for ids, inputs in ((tokens(tiny), images(tiny)), (TEXT, {})):
        assert seeing.off(seeing.ours(tmp_path, ids, inputs), theirs(model, ids, inputs)) < 1e-4


@every_phi4
def test_every_tensor_of_tower_and_bridge_matters(tiny: Tiny, tmp_path: Path) -> None:
    """But what all keys share, layers after the one that is used, the last norm, and the head that pools."""
    lively(tiny, tmp_path)
    names = [name for name in load_file(tmp_path / "model.safetensors") if ".image_embed." in name]
    still = seeing.unmoving(tmp_path, tokens(tiny), images(tiny), names, least=1e-4)
    unused = ["k_proj.bias", ".post_layernorm.", ".img_processor.head."]
    unused += [".encoder.layers.2."] if tiny.keys["vision_config"].get("feature_layer", -2) == -2 else []
    assert still == {name for name in names if any(word in name for word in unused)}


def test_the_parts_are_told_apart(saved: Callable[[str], Path]) -> None:
    """Counted on transformers' own modules."""
    tiny = TINY_PHI4[0]
    embeddings = tiny.build().model.embed_tokens_extend
    components = {part.component: part.parameters for part in weightscope.open(saved(tiny.name)).summary().components}
    assert components["vision"] == embeddings.image_embed.img_processor.num_parameters()
    assert components["audio"] == embeddings.audio_embed.encoder.num_parameters()
    both = sum(parameter.numel() for parameter in embeddings.parameters())
    assert components["projector"] == both - components["vision"] - components["audio"]


def test_at_the_command_line(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    tiny = TINY_PHI4[0]
    np.savez(tmp_path / "inputs.npz", **{name: value.numpy() for name, value in images(tiny).items()})
    ids = ",".join(map(str, tokens(tiny)))
    options = ("--tokens", ids, "--pixels", tmp_path / "inputs.npz", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", saved(tiny.name), *options)
    assert (status, error) == (0, "")
    assert json.loads(out)["compared"][-1]["stage"] == "logits"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("image_pixel_values", lambda x: x[0], r"has shape \[4, 3, 28, 28\], not \[images, tiles, 3, 28, 28\]"),
        ("image_attention_mask", lambda x: x[:, 1:], r"has shape \[2, 3, 7, 7\], and image_pixel_values tells"),
        ("image_attention_mask", lambda x: x * 0, "hides the first patch"),
        ("image_sizes", lambda x: x * 4, "tells 8 × 4 tiles of 28 pixels, and image_attention_mask has 3"),
        ("image_sizes", lambda x: x[0], r"has shape \[2\], not \[2, 2\]"),
        ("image_sizes", lambda x: x * 1.0, "holds torch.float32 values"),
    ],
)
def test_inputs_that_do_not_fit(name: str, change: Any, said: str, saved: Callable[[str], Path]) -> None:
    tiny = TINY_PHI4[0]
    inputs = images(tiny)
    with pytest.raises(UsageError, match=said):
        seeing.ours(saved(tiny.name), tokens(tiny), inputs | {name: change(inputs[name])})
