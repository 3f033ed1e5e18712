"""`forward --compare transformers` of encoders: what each kind of head gives is held against transformers' own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.families.tiny import TINY
from tests.forward.test_encoders import BOXES, TOKENS, lively

Run = Callable[..., tuple[int, str, str]]
IDS = ",".join(map(str, TOKENS))


@pytest.mark.parametrize(
    ("name", "inputs", "stages"),
    [
        ("bert-base", {}, {"layer 1", "pooled", "output"}),
        ("bert-answers", {}, {"output"}),
        # One choice, in a batch of choices.
        ("bert-choice", {}, {"class scores"}),
        # All its layers are one.
        ("albert-Model", {}, {"pooled", "output"}),
        # Its own attention pads the layers' tokens to whole windows.
        ("longformer-QuestionAnswering", {"global_attention_mask": np.arange(7) < 2}, {"output"}),
        ("layoutlm-Model", {"bbox": np.array(BOXES)}, {"pooled", "output"}),
        ("clip_text_model-projected", {}, {"output"}),
        ("clap_text_model-projected", {}, {"output"}),
    ],
)  # fmt: skip
def test_what_a_head_gives(name: str, inputs: dict[str, Any], stages: set[str], run: Run, tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    lively(tiny, tmp_path / "model")
    options: list[Any] = ["--tokens", IDS if "clip" not in name else f"{IDS},2"]
    if inputs:
        np.savez(tmp_path / "inputs.npz", **{key: value.astype("int64") for key, value in inputs.items()})
        options += ["--inputs", tmp_path / "inputs.npz"]
    status, out, error = run("forward", tmp_path / "model", *options, "--compare", "transformers", "--format", "json")
    assert (status, error) == (0, "")
    compared = json.loads(out)["compared"]
    assert stages <= {item["stage"] for item in compared}
    assert all(item["relative"] < 1e-4 for item in compared)
