"""Where PEFT is installed: adapters that it makes on tiny models of many families compute as in PEFT, and fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import weightscope as ws
from tests.families.tiny import TINY

peft = pytest.importorskip("peft", reason="PEFT is not installed")
# What PEFT warns of (base models without a config, patterns without targets) is its own affair.
pytestmark = pytest.mark.filterwarnings("ignore")
BY_NAME = {tiny.name: tiny for tiny in TINY}
# Fused rows, Conv1D, tied heads, latent attention, recurrent mixers, mixtures of every spelling, models that see.
FAMILIES = (
    "llama-tied", "gpt2", "gpt_neox", "bloom", "phi3", "gemma2", "gemma3n_text-shared", "mixtral", "qwen2_moe",
    "qwen3_moe", "qwen3_next", "deepseek_v3", "glm4_moe", "minimax", "afmoe-listed", "granitemoehybrid", "kimi_linear",
    "llava", "aya_vision", "qwen3_vl_moe", "gemma4-mixture", "deepseek_vl",
)  # fmt: skip
TOKENS = [1, 5, 3, 9, 2]


@pytest.mark.parametrize("name", FAMILIES)
def test_all_linear(name: str, tmp_path: Path) -> None:
    built = BY_NAME[name].build().float().eval()
    built.save_pretrained(tmp_path / "base")
    built.config.use_cache = False
    if hasattr(built, "set_experts_implementation"):
        built.set_experts_implementation("eager")
    model = peft.get_peft_model(built, peft.LoraConfig(r=2, lora_alpha=4, target_modules="all-linear"))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
        expected = model(input_ids=torch.tensor([TOKENS]), use_cache=False).logits[0]
    model.save_pretrained(tmp_path / "adapter")
    opened = ws.open(tmp_path / "adapter", base=tmp_path / "base")
    info = opened.summary().adapter
    assert info
    assert info.trainable == model.get_nb_trainable_parameters()[0]
    assert not opened.check()
    logits = ws.open(tmp_path / "base").forward(TOKENS, adapter=tmp_path / "adapter").logits
    assert float((logits - expected).abs().max() / expected.square().mean().sqrt()) < 1e-4
