"""GGUF files of a repository, looked at by ranges."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from tests.remote.conftest import FIXTURES, Run
from tests.remote.hub import Hub


def inspected(ws: Run, *arguments: str) -> dict[str, Any]:
    done = ws("inspect", *arguments, "--format", "json")
    assert (done.stderr, done.returncode) == ("", 0)
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_a_file_from_afar_is_what_it_is_here(ws: Run, hub: Hub, tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "gguf" / "qwen3moe.gguf", tmp_path / "tiny-F16.gguf")
    hub.add("org/tiny", tmp_path)
    there, here = inspected(ws, "org/tiny"), inspected(ws, str(tmp_path))
    assert there | {"model": ""} == here | {"model": ""}
    assert inspected(ws, "hf://org/tiny/tiny-F16.gguf") | {"model": ""} == here | {"model": ""}
    done = ws("forward", "org/tiny", "--tokens", "1,2")
    assert done.returncode == 2
    assert "download" in done.stderr


def test_of_several_quantizations_one_is_asked_for(ws: Run, hub: Hub, tmp_path: Path) -> None:
    for name in ("tiny-Q4_0.gguf", "tiny-Q8_0.gguf"):
        shutil.copy(FIXTURES / "gguf" / "llama.gguf", tmp_path / name)
    hub.add("org/tiny", tmp_path)
    done = ws("inspect", "org/tiny")
    assert done.returncode == 2
    assert "has 2 GGUF models (tiny-Q4_0.gguf, tiny-Q8_0.gguf)" in done.stderr
    assert inspected(ws, "org/tiny", "--variant", "Q8_0")["files"][0]["name"] == "tiny-Q8_0.gguf"


def test_of_the_weights_nothing_is_fetched(ws: Run, hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    writer = GGUFWriter(path, "nova")
    writer.add_token_list([f"token {number}" for number in range(40_000)])
    writer.add_tensor("token_embd.weight", np.zeros((4000, 1000), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    hub.add("org/large", tmp_path)
    assert inspected(ws, "org/large")["parameters"]["total"] == 4_000_000
    asked = hub.asked("large.gguf")
    assert len(asked) <= 4
    assert sum(request.sent for request in asked) < 3_000_000 < path.stat().st_size
