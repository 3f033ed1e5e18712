"""PyTorch files from afar, zip and older, as torch writes them: the directory and the pickle by range, no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.remote.conftest import Run
from tests.remote.hub import Hub, Repo
from tests.remote.test_hub import inspected, without_place

ROWS = 20_000


def state(tensors: int, rows: int = ROWS) -> dict[str, torch.Tensor]:
    tied = torch.zeros(rows, 4)
    made = {f"model.layers.{i}.mlp.up_proj.weight": torch.zeros(rows, 2) for i in range(tensors)}
    return {"model.embed_tokens.weight": tied, **made, "lm_head.weight": tied}


def published(hub: Hub, directory: Path) -> None:
    (directory / "config.json").write_text('{"model_type": "of no family"}')
    hub.repos["org/torch"] = Repo()
    hub.repos["org/torch"].commit({path.name: path for path in directory.iterdir()})


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("tensors", [3, 300])
def test_a_large_file_costs_its_directory_and_pickle(
    zipped: bool, tensors: int, ws: Run, hub: Hub, tmp_path: Path
) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    file = directory / "pytorch_model.bin"
    torch.save(state(tensors), file, _use_new_zipfile_serialization=zipped)
    published(hub, directory)
    assert without_place(inspected(ws, "org/torch")) == without_place(inspected(ws, str(directory)))
    there = ws("tensors", "org/torch", "--expand", "--format", "json")
    here = ws("tensors", str(directory), "--expand", "--format", "json")
    assert json.loads(there.stdout)["tensors"] == json.loads(here.stdout)["tensors"]
    sent = [request.sent for request in hub.requests if request.server == "store"]
    assert sum(sent) < 300_000 + 300 * tensors
    assert len(sent) <= 2 + (tensors > 100)


def test_shards_by_index(ws: Run, hub: Hub, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    weight_map: dict[str, str] = {}
    for number in range(1, 5):
        name = f"pytorch_model-{number:05d}-of-00004.bin"
        shard = {f"model.layers.{number}.w{i}.weight": torch.zeros(ROWS, 2) for i in range(500)}
        torch.save(shard, directory / name)
        weight_map |= dict.fromkeys(shard, name)
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    published(hub, directory)
    assert without_place(inspected(ws, "org/torch")) == without_place(inspected(ws, str(directory)))
    for number in range(1, 5):
        requests = [r for r in hub.asked(f"-{number:05d}-of") if r.server == "store"]
        assert len(requests) == 2
        assert sum(request.sent for request in requests) < 3 * 500 * 150


def test_a_second_look_costs_nothing(ws: Run, hub: Hub, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    torch.save(state(3), directory / "pytorch_model.bin")
    published(hub, directory)
    first = inspected(ws, "org/torch")
    hub.requests.clear()
    assert inspected(ws, "org/torch") == first
    assert [request.path.partition("?")[0] for request in hub.requests] == ["/api/models/org/torch/revision/main"]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: torch.save({"a": Evil()}, file), "its pickle names __builtin__.print"),
        (lambda file: file.write_bytes(b"PK\x03\x04" + bytes(300_000)), "zip archive ends without its directory"),
        (lambda file: file.write_bytes(b"\x80\x02" + bytes(300_000)), "pickle contains an unknown operation"),
        (lambda file: file.write_bytes(b"\x80\x02\x8a\x0a" + bytes.fromhex("6cfc9c46f9206aa85019")), "in the middle"),
    ],
)
def test_what_is_no_checkpoint(make: Any, said: str, ws: Run, hub: Hub, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    make(directory / "pytorch_model.bin")
    published(hub, directory)
    there, here = ws("inspect", "org/torch"), ws("inspect", str(directory))
    assert (there.returncode, there.stdout) == (2, "")
    assert there.stderr == here.stderr.replace(f"{directory}/", "org/torch/")
    assert said in there.stderr
