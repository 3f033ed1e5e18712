"""Image files as patches, by transformers' own Pillow processor; `forward` with images and ready inputs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from tests.forward.test_grid_images import scaled
from weightscope.analyses.forward import ready_inputs
from weightscope.analyses.forward.images import read_images
from weightscope.analyses.forward.ready_inputs import read_inputs
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError

Run = Callable[..., tuple[int, str, str]]
SMALL = {
    "image_processor_type": "Qwen2VLImageProcessor", "patch_size": 4, "temporal_patch_size": 2, "merge_size": 2,
    "size": {"shortest_edge": 256, "longest_edge": 2048},
}  # fmt: skip
SIZES = [(97, 61), (20, 20), (8, 130), (640, 400), (33, 95)]


def read_patches(paths: list[Path], directory: Path) -> dict[str, Any]:
    """What Qwen2-VL's processor makes of images."""
    return read_images(paths, directory, "Qwen2VLImageProcessor")


def photograph(path: Path, size: tuple[int, int]) -> Path:
    """Smooth colours with some noise, which shows how an image was resized."""
    width, height = size
    x, y = np.linspace(0, 6, width)[None, :], np.linspace(0, 4, height)[:, None]
    waves = np.stack([np.sin(x + y), np.cos(x * y), np.sin(x - 2 * y)], axis=-1)
    noise = np.random.default_rng(0).normal(0, 0.1, waves.shape)
    Image.fromarray(np.clip((waves + noise + 1) * 127, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"min_pixels": 1024, "max_pixels": 4096},
        {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2},
        {"do_normalize": False, "temporal_patch_size": 3},
        {"do_rescale": False},
        {"image_processor_type": "Qwen2VLImageProcessorFast", "merge_size": 1, "patch_size": 6},
    ],
)
def test_patches_are_those_of_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    said = SMALL | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(SIZES)]
    keys = {key: value for key, value in said.items() if key != "image_processor_type"}
    processor = transformers.Qwen2VLImageProcessorPil(**keys)
    theirs = processor(images=[Image.open(path) for path in paths], return_tensors="np")
    ours = read_patches(paths, tmp_path)
    np.testing.assert_array_equal(ours["image_grid_thw"], theirs["image_grid_thw"])
    np.testing.assert_allclose(ours["pixel_values"], theirs["pixel_values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"image_processor_type": "ImageGPTImageProcessor"}, NotImplementedByWeightscope, "ImageGPTImageProcessor"),
        ({"patch_size": 0}, CheckpointError, "has settings that cannot be used"),
        ({"size": {"shortest_edge": "x"}}, CheckpointError, "has settings that cannot be used"),
        ({"max_pixels": 10**9, "min_pixels": 10**9}, UsageError, "the limit is"),
    ],
)
def test_settings_that_cannot_be_used(
    settings: dict[str, Any], error: type[Exception], said: str, tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SMALL | settings))
    with pytest.raises(error, match=said):
        read_patches([photograph(tmp_path / "a.png", (40, 30))], tmp_path)


def test_a_strip_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SMALL))
    with pytest.raises(UsageError, match="200 times"):
        read_patches([photograph(tmp_path / "a.png", (900, 4))], tmp_path)


@pytest.fixture
def seeing(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny Qwen2.5-VL with a processor's settings."""
    directory = scaled(saved("qwen2_5_vl"), tmp_path / "m")
    (directory / "preprocessor_config.json").write_text(json.dumps(SMALL))
    return directory


def expected(directory: Path, tokens: list[int], inputs: dict[str, Any]) -> Any:
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    ids = torch.tensor([tokens])
    with torch.no_grad():
        named = {name: torch.as_tensor(value) for name, value in inputs.items()}
        return model(input_ids=ids, mm_token_type_ids=(ids == 95).int(), **named).logits[0].numpy()


def test_two_images_at_the_command_line(seeing: Path, run: Run, tmp_path: Path) -> None:
    """The image token is put in for each, and repeated as often as the image has merged patches."""
    paths = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    inputs = read_patches(paths, seeing)
    places = [int(grid.prod()) // 4 for grid in inputs["image_grid_thw"]]
    tokens = [97, *[95] * places[0], 98, 97, *[95] * places[1], 98, 5, 6, 7]
    logits = tmp_path / "logits.npy"
    options = ("--image", paths[0], "--image", paths[1], "--tokens", "5,6,7")
    status, out, error = run("forward", seeing, *options, "--save-logits", logits, "--format", "json")
    assert (status, error) == (0, "")
    shown = json.loads(out)
    assert shown["tokens"] == len(tokens)
    wanted = expected(seeing, tokens, inputs)
    np.testing.assert_allclose(np.load(logits), wanted, rtol=0, atol=1e-4 * float(np.sqrt(np.mean(wanted**2))))
    assert [s["stage"] for s in shown["stages"]][:2] == ["vision patch embedding", "vision layer 0 attention"]


def test_ready_inputs_and_transformers_beside_them(seeing: Path, run: Run, tmp_path: Path) -> None:
    inputs = read_patches([photograph(tmp_path / "a.png", (50, 30))], seeing)
    np.savez(tmp_path / "inputs.npz", **inputs)
    options = ("--pixels", tmp_path / "inputs.npz", "--tokens", "3,95,7,8", "--compare", "transformers")
    status, out, error = run("forward", seeing, *options, "--format", "json")
    assert (status, error) == (0, "")
    compared = json.loads(out)["compared"]
    assert {"layer 0", "layer 2", "logits"} <= {item["stage"] for item in compared}


def test_a_golden_file_of_images(seeing: Path, run: Run, tmp_path: Path) -> None:
    image = photograph(tmp_path / "a.png", (50, 30))
    golden = tmp_path / "golden.json"
    assert run("forward", seeing, "--tokens", "3,7", "--image", image, "--record", golden)[0] == 0
    assert run("forward", seeing, "--image", image, "--expect", golden)[0] == 0
    status, _, error = run("forward", seeing, "--expect", golden)
    assert (status, "--image a.png" in error) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tokens", "95,95,5"), "the prompt has 2 image tokens (id 95), but one image takes 1 or"),
        (("--tokens", "96,5"), "stands for a video"),
        (("--pixels", "x.npz"), "--image and --inputs are mutually exclusive"),
    ],
)
def test_what_does_not_fit_is_said(options: tuple[str, ...], said: str, seeing: Path, run: Run, tmp_path: Path) -> None:
    image = photograph(tmp_path / "a.png", (50, 30))
    status, _, error = run("forward", seeing, "--image", image, *options)
    assert (status, said in error) == (2, True), error


def test_an_array_that_no_model_takes(seeing: Path, run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", device=np.zeros(3))
    status, _, error = run("forward", seeing, "--pixels", tmp_path / "x.npz")
    assert (status, "'device', which this model does not take" in error) == (2, True)


def hostile(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(header: str, data: bytes = b"") -> bytes:
    raw = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + data


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"a.npy": npy(HEADER % "1000000000000")}, "is shorter than its shape"),
        ({"a.npy": npy(HEADER % "-4")}, "is shorter than its shape"),
        ({"a.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }")}, "does not contain numbers"),
        ({"a.npy": b"PK"}, "cannot be read as inputs"),
        ({f"{n}.npy": npy(HEADER % "0") for n in range(17)}, "the limit is 16"),
        ({"a.npy": npy(HEADER % "30000", bytes(120_000))}, "its arrays take over"),
    ],
    ids=["huge", "negative", "objects", "no array", "many", "bomb"],
)
def test_hostile_inputs_are_refused(
    members: dict[str, bytes], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_inputs, "MAX_BYTES", 100_000)
    with pytest.raises(UsageError, match=said):
        read_inputs(hostile(tmp_path / "x.npz", members))


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.arange(6).reshape(2, 3)), "c": np.array(7)}
    np.savez_compressed(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    found = read_inputs(tmp_path / "x.npz")
    assert list(found) == ["a", "b", "c"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
