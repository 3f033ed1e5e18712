"""A LoRA on all linear layers, under the names that PEFT gives them, computes as transformers with W + s·B·A does.

`fixtures/adapters/families.json` has the names and shapes, and `make_families.py` there says how PEFT gave them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import weightscope as ws
from tests.adapters.peft_files import FOLDER
from tests.families.tiny import TINY

FAMILIES: dict[str, Any] = json.loads((FOLDER / "families.json").read_text())
BY_NAME = {tiny.name: tiny for tiny in TINY}
TOKENS = [1, 5, 3, 9, 2]
RANK, ALPHA = 2, 4


@pytest.mark.parametrize("name", FAMILIES)
def test_all_linear_layers(name: str, tmp_path: Path) -> None:
    said, model = FAMILIES[name], BY_NAME[name].build()
    model.save_pretrained(tmp_path / "base")
    torch.manual_seed(1)
    tensors = {tensor: torch.randn(shape) * 0.2 for tensor, shape in said["tensors"].items()}
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    save_file(tensors, adapter / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": said["target_modules"]}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    opened = ws.open(adapter, base=tmp_path / "base")
    info = opened.summary().adapter
    assert info
    assert info.trainable == said["trainable"]
    assert not opened.check()
    with torch.no_grad():
        for key, inward in tensors.items():
            module, found, _ = key.removeprefix("base_model.model.").partition(".lora_A.")
            if found:
                changed: Any = model.get_submodule(module)
                changed.weight += ALPHA / RANK * tensors[key.replace(".lora_A.", ".lora_B.")] @ inward
        expected = model(input_ids=torch.tensor([TOKENS]), use_cache=False).logits[0]
    logits = ws.open(tmp_path / "base").forward(TOKENS, adapter=adapter).logits
    assert float((logits - expected).abs().max() / expected.square().mean().sqrt()) < 1e-4
