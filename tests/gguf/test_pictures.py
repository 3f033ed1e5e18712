"""Images for a vision part, prepared as its metadata says, against transformers' image processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image

import weightscope
from fixtures.gguf.make import pixels
from tests.gguf.test_files import FIXTURES, copied
from weightscope.analyses.forward.images import read_images
from weightscope.analyses.forward.images.settings import Said
from weightscope.gguf.opening import described
from weightscope.gguf.pictures import settings_of

SQUARE = {"height": 16, "width": 16}
HALVES: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
# What the models' own files say; LLaVA's was made with CLIP's means.
SAID: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("Gemma3ImageProcessor", HALVES | {"size": SQUARE}),
    "llava": ("CLIPImageProcessor", {"size": {"shortest_edge": 16}, "crop_size": SQUARE}),
    "qwen2vl": ("Qwen2VLImageProcessor", HALVES | {"patch_size": 4}),
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    colours = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("name", SAID)
def test_an_image_is_prepared_as_the_metadata_says(name: str, picture: Path) -> None:
    kind, settings = SAID[name]
    path = FIXTURES / f"mmproj-{name}.gguf"
    metadata = described(weightscope.open(path).checkpoint)
    assert metadata
    said = Said(kind, settings_of(metadata, kind), path)
    ours = read_images([picture], path.parent, kind, said)
    theirs = getattr(transformers, f"{kind}Pil")(**settings)(Image.open(picture), return_tensors="np")
    np.testing.assert_allclose(ours["pixel_values"], np.asarray(theirs["pixel_values"]), atol=1e-6)


def test_older_names_of_the_two_matrices_are_told_by_their_shapes(tmp_path: Path) -> None:
    source = FIXTURES / "mmproj-gemma3.gguf"
    ends = [f"v.blk.{layer}.ffn_{{}}.{leaf}" for layer in (0, 1) for leaf in ("weight", "bias")]
    names = {end.format(old): end.format(new) for end in ends for old, new in (("up", "down"), ("down", "up"))}
    models = [weightscope.open(path) for path in (source, copied(source, tmp_path / "a.gguf", renamed=names))]
    assert [finding for finding in models[1].check() if finding.severity != "info"] == []
    image: dict[str, Any] = pixels("gemma3")
    outputs = [model.forward(**image).output for model in models]
    assert outputs[0] is not None
    assert outputs[1] is not None
    np.testing.assert_array_equal(outputs[0].numpy(), outputs[1].numpy())


def test_the_command_takes_an_image(run: Any, picture: Path) -> None:
    path = FIXTURES / "mmproj-gemma3.gguf"
    status, out, error = run("forward", path, "--image", picture)
    assert (status, error) == (0, "")
    assert "ok · gemma3 · float32 on cpu" in " ".join(out.split())
    status, out, error = run("forward", path)
    assert (status, out) == (2, "")
    assert "a vision part alone needs an image" in error
