"""Adapters that PEFT did not write: mlx-lm's own files and logits, and the names of diffusers' and kohya's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope as ws
from tests.adapters.peft_files import EXPECTED, FOLDER

MLX = FOLDER / "mlx"
LLAMA = FOLDER / "bases" / "llama"


@pytest.mark.parametrize("name", ["lora", "dora"])
def test_against_mlx_lm(name: str) -> None:
    expected = load_file(MLX / "expected.safetensors")[name]
    result = ws.open(LLAMA).forward(EXPECTED["tokens"], adapter=MLX / name)
    assert float((result.logits - expected).abs().max() / expected.square().mean().sqrt()) < 1e-4


@pytest.mark.parametrize(("name", "words", "trainable"), [("lora", "LoRA", 896), ("dora", "DoRA", 72)])
def test_what_mlx_lm_wrote_is_told_and_fits(name: str, words: str, trainable: int) -> None:
    model = ws.open(MLX / name, base=LLAMA)
    info = model.summary().adapter
    assert info
    assert (info.library, info.words, info.base, info.trainable) == ("mlx", words, "tiny/llama", trainable)
    assert info.scales == (3.0,)
    assert not model.check()


def test_experts_of_mlx_lm_are_counted(tmp_path: Path) -> None:
    start = "model.layers.0.mlp.switch_mlp.gate_proj"
    save_file({f"{start}.lora_a": torch.zeros(4, 2, 24), f"{start}.lora_b": torch.zeros(4, 20, 2)},
              tmp_path / "adapters.safetensors")  # fmt: skip
    (tmp_path / "adapter_config.json").write_text('{"fine_tune_type": "lora", "lora_parameters": {"rank": 2}}')
    model = ws.open(tmp_path)
    info = model.summary().adapter
    assert info
    assert (info.trainable, info.ranks) == (4 * 2 * (24 + 20), (2,))
    assert [finding.severity for finding in model.check()] == ["info"]


UNET = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
NAMES: dict[str, dict[str, list[int]]] = {
    "diffusers": {
        f"unet.{UNET}.to_q.lora_A.weight": [4, 320], f"unet.{UNET}.to_q.lora_B.weight": [320, 4],
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": [4, 768],
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight": [768, 4],
    },
    # As diffusers wrote it before it used PEFT.
    "diffusers, older": {
        f"unet.{UNET}.processor.to_q_lora.down.weight": [4, 320],
        f"unet.{UNET}.processor.to_q_lora.up.weight": [320, 4],
        f"unet.{UNET}.to_k.lora_linear_layer.down.weight": [4, 320],
        f"unet.{UNET}.to_k.lora_linear_layer.up.weight": [320, 4],
    },
    "kohya": {
        f"lora_unet_{UNET.replace('.', '_')}_to_q.lora_down.weight": [4, 320],
        f"lora_unet_{UNET.replace('.', '_')}_to_q.lora_up.weight": [320, 4],
        f"lora_unet_{UNET.replace('.', '_')}_to_q.alpha": [],
        "lora_unet_conv_in.lora_down.weight": [4, 4, 3, 3], "lora_unet_conv_in.lora_up.weight": [320, 4, 1, 1],
        "lora_unet_conv_in.alpha": [],
    },
    "kohya, LoHa": {
        **{f"lora_unet_mid_block_to_q.hada_{part}": [320, 4] for part in ("w1_a", "w2_a")},
        **{f"lora_unet_mid_block_to_q.hada_{part}": [4, 320] for part in ("w1_b", "w2_b")},
        "lora_unet_mid_block_to_q.alpha": [],
    },
}  # fmt: skip
COUNTS = {
    "diffusers": 4 * 2 * 320 + 4 * 2 * 768, "diffusers, older": 2 * 4 * 2 * 320,
    "kohya": 4 * 2 * 320 + 4 * 4 * 9 + 320 * 4, "kohya, LoHa": 4 * 4 * 320,
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMES)
def test_adapters_of_image_models_are_named_and_counted(kind: str, tmp_path: Path, run: Any) -> None:
    file = tmp_path / "any name.safetensors"
    metadata = {"ss_network_dim": "4", "ss_network_alpha": "2.0"} if kind.startswith("kohya") else None
    save_file({name: torch.ones(shape) for name, shape in NAMES[kind].items()}, file, metadata)
    model = ws.open(file)
    info = model.summary().adapter
    assert info
    assert info.library == kind.partition(",")[0]
    assert (info.trainable, info.ranks) == (COUNTS[kind], (4,))
    assert info.alpha == (2.0 if metadata else None)
    assert {finding.severity for finding in model.check()} == {"info"}
    code, out, _ = run("inspect", file)
    assert code == 0
    assert "adapter" in out
