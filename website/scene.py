"""The models that pictures show: fixtures, published configs, and copies of a fixture with something changed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from website.terminal import ROOT

FIXTURES = ROOT / "fixtures"
# Published models of which the repository has the config, by the name of their folder here.
CONFIGS = {
    "DeepSeek-V3.2": "deepseek-ai__DeepSeek-V3.2",
    "Qwen2.5-VL-7B": "Qwen__Qwen2.5-VL-7B-Instruct",
    "Qwen3-30B-A3B": "Qwen__Qwen3-30B-A3B",
}


@contextmanager
def scene() -> Iterator[Path]:
    """A folder in which the commands of the pictures are run."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as created:
        folder = Path(created)
        (folder / "fixtures").symlink_to(FIXTURES)
        for name, file in CONFIGS.items():
            published = json.loads((FIXTURES / "published" / f"{file}.json").read_text(encoding="utf-8"))
            (folder / name).mkdir()
            (folder / name / "config.json").write_text(json.dumps(published["config"]), encoding="utf-8")
        _copy_llama(folder / "wrong-config")
        _set_key(folder / "wrong-config", "num_key_value_heads", 3)
        _copy_llama(folder / "dead-layer")
        _change(folder / "dead-layer", lambda name, weight: weight * 0 if "layers.1.mlp.up_proj" in name else weight)
        _copy_llama(folder / "tuned")
        _change(folder / "tuned", _tune)
        yield folder


def _copy_llama(folder: Path) -> None:
    shutil.copytree(FIXTURES / "llama", folder)


def _set_key(folder: Path, key: str, value: int) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {key: value}, indent=2), encoding="utf-8")


def _change(folder: Path, changed: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    for shard in folder.glob("*.safetensors"):
        save_file({name: changed(name, weight) for name, weight in load_file(shard).items()}, shard)


def _tune(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Two hundredths more and less in turn, in the attention of all layers."""
    if "self_attn" not in name:
        return weight
    signs = torch.tensor([1.0, -1.0]).repeat(weight.numel() // 2).reshape(weight.shape)
    return (weight.float() * (1 + 0.02 * signs)).to(weight.dtype)
