"""Ghost checkpoints are what a publisher's would be, but for the data."""

from __future__ import annotations

import json
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import weightscope
from benchmarks.ghost import Tensor, divide, write_ghost

CONFIG = Path(__file__).parents[2] / "benchmarks" / "deepseek_v3.json"


def header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        assert length % 8 == 0
        entries: dict[str, Any] = json.loads(file.read(length))
    return entries


@pytest.fixture(scope="module")
def ghost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ghost")
    write_ghost(CONFIG, directory, shards=163)
    return directory


def test_deepseek_v3_has_the_elements_that_the_hub_shows(ghost: Path) -> None:
    # https://huggingface.co/deepseek-ai/DeepSeek-V3, "Safetensors": the sizes the Hub counted in the published headers.
    elements: Counter[str] = Counter()
    tensors = 0
    for path in ghost.glob("*.safetensors"):
        for name, entry in header(path).items():
            if name != "__metadata__":
                elements[entry["dtype"]] += prod(entry["shape"])
                tensors += 1
    assert elements == {"BF16": 3_918_786_560, "F8_E4M3": 680_571_043_840, "F32": 41_555_600}
    assert elements.total() == 684_531_386_000
    assert tensors == 91_991


def test_deepseek_v3_is_sharded_and_indexed_as_published(ghost: Path) -> None:
    shards = sorted(path.name for path in ghost.glob("*.safetensors"))
    assert (len(shards), shards[0], shards[-1]) == (
        163,
        "model-00001-of-000163.safetensors",
        "model-00163-of-000163.safetensors",
    )
    index = json.loads((ghost / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 688_574_839_360}
    assert sorted(set(index["weight_map"].values())) == shards
    for shard in (shards[0], shards[80]):
        names = {name for name in header(ghost / shard) if name != "__metadata__"}
        assert names == {name for name, where in index["weight_map"].items() if where == shard}


def test_deepseek_v3_takes_no_disk(ghost: Path) -> None:
    assert sum(path.stat().st_size for path in ghost.iterdir()) > 688_000_000_000
    assert sum(path.stat().st_blocks * 512 for path in ghost.iterdir()) < 50_000_000


def test_against_the_safetensors_library(ghost: Path) -> None:
    path = ghost / "model-00100-of-000163.safetensors"
    entries = header(path)
    assert entries.pop("__metadata__") == {"format": "pt"}
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert list(file.offset_keys()) == list(entries)
        for name, entry in entries.items():
            view = file.get_slice(name)
            assert (view.get_dtype(), view.get_shape()) == (entry["dtype"], entry["shape"])


def test_shards_are_as_many_as_asked_for_and_none_is_empty() -> None:
    tensors = [Tensor(str(n), "F32", (n + 1,)) for n in range(20)] + [Tensor("big", "F32", (1000,))]
    for count in range(1, 22):
        runs = list(divide(tensors, count))
        assert len(runs) == count
        assert all(runs)
        assert [tensor for run in runs for tensor in run] == tensors


@pytest.mark.parametrize(
    "settings",
    [
        {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]}},
        {"quantization": {"bits": 4, "group_size": 32}},
    ],
)
def test_ghosts_of_quantized_models_have_the_types_that_writers_use(settings: dict[str, Any], tmp_path: Path) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 96, "hidden_size": 64,
        "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4,
    }  # fmt: skip
    source = tmp_path / "config.json"
    source.write_text(json.dumps(config | settings))
    write_ghost(source, tmp_path / "ghost")
    model = weightscope.open(tmp_path / "ghost")
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(config))
    write_ghost(plain, tmp_path / "bf16")
    assert model.parameters.total == weightscope.open(tmp_path / "bf16").parameters.total
