"""Indexes as transformers takes them: what loads is no error, and what fails is one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.check.test_every_code import FIRST, INDEX, check, edit_json, model
from tests.check.test_reviewed import codes

__all__ = ["model"]


def loaded(path: Path) -> dict[str, Any]:
    """The weights that transformers loads, and what it says of them."""
    found, info = transformers.AutoModelForCausalLM.from_pretrained(path, output_loading_info=True)
    return {"weights": found.state_dict(), "missing": info["missing_keys"]}


def test_shards_in_a_folder(model: Path) -> None:
    before = loaded(model)
    (model / "weights").mkdir()
    places = json.loads((model / INDEX).read_text())["weight_map"]
    for shard in set(places.values()):
        shutil.move(model / shard, model / "weights" / shard)
    edit_json(model / INDEX, weight_map={name: f"weights/{shard}" for name, shard in places.items()})
    after = loaded(model)
    assert after["missing"] == before["missing"]
    assert all(torch.equal(value, after["weights"][name]) for name, value in before["weights"].items())
    assert codes(model) == []
    opened = weightscope.open(model)
    assert {file.name for file in opened.summary().files} == {f"weights/{shard}" for shard in set(places.values())}


@pytest.mark.parametrize("metadata", [None, "absent"])
def test_an_index_without_metadata(metadata: str | None, model: Path) -> None:
    index = json.loads((model / INDEX).read_text())
    index["metadata"] = None
    if metadata == "absent":
        del index["metadata"]
    (model / INDEX).write_text(json.dumps(index))
    with pytest.raises((KeyError, TypeError)):
        loaded(model)
    assert codes(model) == [("malformed-index", "error")]
    assert "transformers cannot load it" in next(f.message for f in check(model).findings if f.severity == "error")
    # Any metadata will do: nobody reads the total.
    (model / INDEX).write_text(json.dumps(index | {"metadata": {}}))
    assert loaded(model)["missing"] == set()
    assert codes(model) == []


def test_an_index_that_forgets_a_tensor_of_a_listed_shard(model: Path) -> None:
    places = json.loads((model / INDEX).read_text())["weight_map"]
    name = next(name for name, shard in places.items() if shard == FIRST)
    before = loaded(model)["weights"][name]
    edit_json(model / INDEX, weight_map={n: s for n, s in places.items() if n != name})
    assert torch.equal(loaded(model)["weights"][name], before)
    assert codes(model) == [("index-mismatch", "warning")]
