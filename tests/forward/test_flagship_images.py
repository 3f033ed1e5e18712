"""Pictures as the processors of 2026's flagships make them, and prompts as they write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.images import make_flagships as made
from fixtures.images.pictures import png
from weightscope.analyses.forward.images import read_images

FIXTURE = Path(__file__).parents[2] / "fixtures" / "images" / "flagships.npz"
KINDS = {
    "minimax_m3_vl": "MiniMaxM3VLImageProcessor", "molmo2": "Molmo2ImageProcessor", "step3p7": "Step3p7ImageProcessor",
}  # fmt: skip


def pictures(folder: Path, sizes: tuple[tuple[int, int], ...]) -> list[Path]:
    paths = [folder / f"{width}x{height}.png" for width, height in sizes]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(png(*size))
    return paths


def prepared(folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    said = made.SETTINGS[name] | {"image_processor_type": KINDS[name]} | changes
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return read_images(pictures(folder, made.SIZES[name]), folder, "x")


@pytest.mark.parametrize("name", KINDS)
def test_pictures(name: str, tmp_path: Path) -> None:
    """By torchvision, exactly."""
    found, expected = prepared(tmp_path, name), np.load(FIXTURE)
    keys = {key.partition(".")[2] for key in expected if key.startswith(f"{name}.")}
    assert set(found) == keys
    for key in keys:
        np.testing.assert_array_equal(found[key], expected[f"{name}.{key}"], key)
