"""A checkpoint as a user may have it: tensors under any names, in either container, in one file or in shards."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

import weightscope
from weightscope.findings import Finding

Tensors = dict[str, torch.Tensor]
STEMS = {"safetensors": "model", "bin": "pytorch_model"}


@dataclass
class Plant:
    """One model, and how it is written: `suffix` safetensors or bin, `shards` 1 or more."""

    path: Path
    config: dict[str, Any]
    tensors: Tensors
    suffix: str = "safetensors"
    shards: int = 1
    beside: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Path, target: Path, suffix: str = "safetensors", shards: int = 1) -> Plant:
        """A copy of what transformers saved."""
        config = json.loads((source / "config.json").read_text())
        target.mkdir(parents=True, exist_ok=True)
        return cls(target, config, load_file(source / "model.safetensors"), suffix, shards)

    @property
    def stem(self) -> str:
        return STEMS[self.suffix]

    @property
    def index(self) -> str:
        return f"{self.stem}.{self.suffix}.index.json"

    def save(self, tensors: Tensors, name: str) -> None:
        if name.endswith(".safetensors"):
            save_file({n: t.contiguous().clone() for n, t in tensors.items()}, self.path / name, {"format": "pt"})
        else:
            torch.save({n: t.contiguous().clone() for n, t in tensors.items()}, self.path / name)

    def parts(self, shards: int) -> dict[str, Tensors]:
        """The files' names and what each holds."""
        names = sorted(self.tensors)
        return {
            f"{self.stem}-{i + 1:05d}-of-{shards:05d}.{self.suffix}": {n: self.tensors[n] for n in names[i::shards]}
            for i in range(shards)
        }

    def write(self) -> Path:
        """Config, generation config and weights."""
        (self.path / "config.json").write_text(json.dumps(self.config))
        (self.path / "generation_config.json").write_text(json.dumps({"eos_token_id": 2}))
        for name, text in self.beside.items():
            (self.path / name).write_text(text)
        if self.shards == 1:
            self.save(self.tensors, f"{self.stem}.{self.suffix}")
        else:
            self.write_shards(self.shards)
        return self.path

    def write_shards(self, shards: int, *, index: bool = True) -> None:
        """All tensors in numbered files."""
        parts = self.parts(shards)
        for name, part in parts.items():
            self.save(part, name)
        if index:
            self.write_index({n: file for file, part in parts.items() for n in part})

    def write_index(self, places: dict[str, str]) -> None:
        total = sum(tensor.nbytes for tensor in self.tensors.values())
        (self.path / self.index).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}))

    def findings(self, *, values: bool = False) -> list[Finding]:
        """What `check` says, but for files that lie beside a published model."""
        found = weightscope.open(self.write(), tolerant=True).check(values=values)
        return [finding for finding in found if finding.code != "config-missing"]
