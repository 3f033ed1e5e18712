"""Tensors under another library's names are said to be that, with where to find what transformers reads.

The names are those that the libraries give: timm 1.0's `vit_base_patch16_224` and `convnext_tiny`, open_clip 2.32's
`ViT-B-32`, OpenAI's whisper `tiny`, fairseq's RoBERTa, Megatron-LM's GPT.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

NAMES = {
    "timm's of a vision transformer": (
        "cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight",
    ),
    "timm's of a ConvNeXt": ("stem.0.weight", "stages.0.blocks.0.conv_dw.weight", "head.fc.weight"),
    "open_clip's or OpenAI's of CLIP": (
        "visual.conv1.weight", "visual.proj", "transformer.resblocks.0.attn.in_proj_weight", "text_projection",
    ),
    "OpenAI's of Whisper": (
        "encoder.blocks.0.attn.query.weight", "decoder.blocks.0.cross_attn.query.weight", "encoder.conv1.weight",
    ),
    "fairseq's of an encoder": (
        "encoder.sentence_encoder.embed_tokens.weight",
        "encoder.sentence_encoder.layers.0.self_attn.q_proj.weight",
    ),
    "Megatron-LM's": (
        "language_model.embedding.word_embeddings.weight", "language_model.encoder.final_layernorm.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("config", [None, {}, {"architecture": "vit_base_patch16_224"}])
@pytest.mark.parametrize("words", NAMES)
def test_whose_names_they_are(words: str, config: Any, tmp_path: Path, run: Any) -> None:
    save_file({name: np.ones((2, 2), np.float32) for name in NAMES[words]}, tmp_path / "model.safetensors")
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    code, out, _ = run("check", tmp_path, "--format", "json")
    finding = json.loads(out)["findings"][0]
    assert code == 1
    assert finding["message"].endswith(f"; the names are {words}")
    assert finding["hint"]


def test_names_that_tell_nothing(tmp_path: Path, run: Any) -> None:
    save_file({"a.weight": np.ones((2, 2), np.float32)}, tmp_path / "model.safetensors")
    _, out, _ = run("check", tmp_path)
    assert "the names are" not in out
