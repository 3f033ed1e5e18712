"""What was met on files in public use: of each kind a tiny model, and what `check` says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

import weightscope
from tests.check.planting import Plant


@pytest.fixture
def plant(saved: Any, tmp_path: Path) -> Callable[..., Plant]:
    """A tiny model of a name, to be edited."""
    return lambda name: Plant.of(saved(name), tmp_path)


def test_a_file_without_tensors_is_not_ok(plant: Any) -> None:
    model = plant("llama")
    model.tensors = {}
    assert [(f.code, f.severity, f.message) for f in model.findings()] == [
        ("missing-tensor", "error", "the files hold no tensors")
    ]


@pytest.mark.parametrize(("architecture", "model_type"), [("llama", "llama"), ("bert", "bert")])
def test_a_vocabulary_alone(architecture: str, model_type: str, tmp_path: Path) -> None:
    """llama.cpp keeps such files of its tokenizers, `ggml-vocab-bert-bge.gguf`: settings, and no tensors."""
    path = tmp_path / "vocab.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(2)
    writer.add_embedding_length(8)
    writer.add_head_count(2)
    writer.add_feed_forward_length(16)
    writer.add_context_length(32)
    writer.add_vocab_size(10)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    model = weightscope.open(path)
    assert model.summary().model.family == model_type
    (finding,) = (finding for finding in model.check() if finding.severity == "error")
    assert (finding.code, finding.message) == ("missing-tensor", "the files hold no tensors")
    assert finding.hint == "it has settings and a vocabulary alone: give the file with the weights"


DISTANCES = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias"
SIGLIP_HEAD = {
    "embeddings.packing_position_embedding.weight": (32768, 16),
    "head.probe": (1, 1, 16),
    "head.attention.in_proj_weight": (48, 16),
    "head.attention.in_proj_bias": (48,),
    "head.attention.out_proj.weight": (16, 16),
    "head.attention.out_proj.bias": (16,),
    "head.layernorm.weight": (16,),
    "head.layernorm.bias": (16,),
    "head.mlp.fc1.weight": (26, 16),
    "head.mlp.fc1.bias": (26,),
    "head.mlp.fc2.weight": (16, 26),
    "head.mlp.fc2.bias": (16,),
}


@pytest.mark.parametrize(
    ("name", "beside", "shapes"),
    [
        ("t5", "shared.weight", {f"{DISTANCES}.weight": (8, 6)}),
        ("paddleocr_vl", "post_layernorm.weight", SIGLIP_HEAD),
    ],
)
def test_what_published_checkpoints_hold_and_no_model_uses(
    name: str, beside: str, shapes: dict[str, tuple[int, ...]], plant: Any
) -> None:
    """google-t5/t5-small, PaddlePaddle/PaddleOCR-VL: their classes ignore these."""
    model = plant(name)
    before = weightscope.open(model.write()).parameters.total
    prefix = next(stored.removesuffix(beside) for stored in model.tensors if stored.endswith(beside))
    model.tensors |= {prefix + added: torch.zeros(shape) for added, shape in shapes.items()}
    assert model.findings() == []
    assert weightscope.open(model.path).parameters.total == before


def test_positions_beside_a_rotation(plant: Any) -> None:
    """facebook/esm2_t6_8M_UR50D has both, and its class ignores the table."""
    model = plant("esm")
    model.config["position_embedding_type"] = "rotary"
    assert model.findings() == []
    counted = weightscope.open(model.path).parameters
    assert counted.auxiliary >= model.tensors["esm.embeddings.position_embeddings.weight"].numel()
