"""Whatever MODEL is, its tensors are in both trees, each has a page, and values or the reason why there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.browse.session import FIXTURES, Session, browse, names
from weightscope.browse.findings import FindingsScreen

FORMS = {
    "shards": FIXTURES / "llama",
    "pickles": FIXTURES / "gpt2",
    "sees": FIXTURES / "llava",
    "undeclared": FIXTURES / "mini",
    "mlx": FIXTURES / "qwen3-mlx-4bit",
    "quantized, without a config": FIXTURES / "quantized" / "gptq.safetensors",
    "gguf": FIXTURES / "gguf" / "llama.gguf",
    "adapter": FIXTURES / "adapters" / "peft" / "lora",
    "prompts": FIXTURES / "adapters" / "peft" / "prompt",
    "training checkpoint": FIXTURES / "training",
    "zero": FIXTURES / "runs" / "zero-3",
    "distributed": FIXTURES / "runs" / "fsdp",
    "config alone": FIXTURES / "llama" / "config.json",
}
# Of each form so many tensors are looked at.
LOOKS = 4


@pytest.fixture
def index_alone(tmp_path: Path) -> Path:
    index = FIXTURES / "llama" / "model.safetensors.index.json"
    (tmp_path / index.name).write_bytes(index.read_bytes())
    return tmp_path / index.name


async def look(session: Session) -> None:
    panes, model = session.app.panes, session.app.model
    listed = sorted(row.name for _, row in model.listing())
    assert listed
    assert sorted(names(panes._views.by_role)) == sorted(names(panes._views.by_name)) == listed
    for name in listed[:: max(1, len(listed) // LOOKS)]:
        assert await panes.tensors.reveal(name)
        await session.until(lambda: name in session.detail.replace("\n", "").replace(" ", ""))  # noqa: B023
        await session.press("v")
        await session.shows("Values   ")
        assert "Zeros" in session.detail or "not read" in session.detail
        if model.checkpoint.tensors and not model.checkpoint.tensors[name].dtype.startswith("I"):
            assert "Zeros" in session.detail
    await session.press("f")
    await session.until(lambda: isinstance(session.app.screen, FindingsScreen))
    assert "checked" in session.screen.split("\n")[0]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_shown(form: str) -> None:
    browse(FORMS[form], look, size=(160, 50))


def test_an_index_alone_is_shown(index_alone: Path) -> None:
    browse(index_alone, look, size=(160, 50))


def test_a_pipeline_is_shown(tmp_path: Path) -> None:
    for name, kind in (("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL")):
        (tmp_path / name).mkdir()
        save_file({"conv.weight": np.ones((2, 3), np.float16)}, tmp_path / name / "diffusion_pytorch_model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"_class_name": kind}))
    index = {
        "_class_name": "Pipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    browse(tmp_path, look, size=(160, 50))


def test_a_file_that_is_cut_short_is_a_finding_and_the_rest_is_shown(tmp_path: Path) -> None:
    for path in (FIXTURES / "llama").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    cut = tmp_path / "model-00002-of-00004.safetensors"
    cut.write_bytes(cut.read_bytes()[:-100])

    async def test(session: Session) -> None:
        await session.until(lambda: "error" in session.screen.split("\n")[0])
        assert "  attention" in session.labels
        await session.press("f")
        await session.until(lambda: "truncated-file" in session.screen)

    browse(tmp_path, test)


def test_a_folder_of_which_nothing_can_be_read_has_an_empty_tree(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "config.json").write_bytes((FIXTURES / "llama" / "config.json").read_bytes())

    async def test(session: Session) -> None:
        await session.until(lambda: "error" in session.screen.split("\n")[0])
        for key in ("right", "down", "enter", "v", "b", "s", "n", "y"):
            await session.press(key)
        await session.type("q_proj")
        await session.says("No tensor matches")

    browse(tmp_path, test)
