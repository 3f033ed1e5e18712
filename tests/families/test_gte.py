"""GTE as Alibaba published it, with code of its own: transformers' class, its tensors and its config under other names.

Facts: `NewConfig` and `NewModel` of Alibaba-NLP/new-impl; the config of Alibaba-NLP/gte-base-en-v1.5.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from weightscope.errors import NotImplementedByWeightscope

ORACLES = {"new": "gte"}
TOKENS = [3, 17, 5, 99, 0, 42, 8]
OWN = {
    "model_type": "new", "architectures": ["NewForMaskedLM"], "rope_theta": 500000.0, "layer_norm_type": "layer_norm",
    "logn_attention_clip1": False, "logn_attention_scale": False, "pack_qkv": True, "position_embedding_type": "rope",
    "rope_scaling": None, "unpad_inputs": False, "use_memory_efficient_attention": False,
    "auto_map": {"AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig"},
}  # fmt: skip


@pytest.fixture
def published(saved: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """The tiny GTE as published, with changes of the config."""

    def write(**changes: Any) -> Path:
        config = json.loads((saved("gte") / "config.json").read_text())
        del config["rope_parameters"]
        (tmp_path / "config.json").write_text(json.dumps(config | OWN | changes))
        tensors = load_file(saved("gte") / "model.safetensors")
        save_file({n.replace("gte.", "new."): t for n, t in tensors.items()}, tmp_path / "model.safetensors")
        return tmp_path

    return write


@pytest.mark.parametrize("factor", [None, 8.0])
def test_as_published(factor: float | None, saved: Callable[[str], Path], published: Callable[..., Path]) -> None:
    """The factor as `NTKScalingRotaryEmbedding` of vLLM has it: theta larger, and all waves slower."""
    oracle = transformers.AutoModelForMaskedLM.from_pretrained(saved("gte"))
    dim = oracle.config.hidden_size // oracle.config.num_attention_heads
    scale = factor or 1.0
    waves = 1 / (500000.0 * scale) ** (torch.arange(0, dim, 2) / dim) / scale ** (2 / dim)
    oracle.gte.rotary_emb.inv_freq = waves
    model = weightscope.open(published(rope_scaling={"type": "ntk", "factor": factor} if factor else None))
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == oracle.num_parameters()
    with torch.no_grad():
        expected = oracle(torch.tensor([TOKENS])).logits[0]
    assert torch.allclose(model.forward(TOKENS).logits, expected, atol=1e-5)


def test_names_that_transformers_has_in_memory(saved: Callable[[str], Path], tmp_path: Path) -> None:
    oracle = transformers.AutoModelForMaskedLM.from_pretrained(saved("gte"))
    (tmp_path / "config.json").write_bytes((saved("gte") / "config.json").read_bytes())
    state = {n: t.contiguous() for n, t in oracle.state_dict().items() if n != "lm_head.decoder.weight"}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    with torch.no_grad():
        expected = oracle(torch.tensor([TOKENS])).logits[0]
    assert torch.allclose(model.forward(TOKENS).logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rope_scaling": {"type": "ntk", "factor": 8.0, "mixed_b": 0.5}}, "ntk"),
        ({"rope_scaling": {"type": "ntk", "factor": -1}}, "ntk"),
        ({"pack_qkv": False}, "pack_qkv"),
        ({"logn_attention_scale": True}, "logn_attention_scale"),
    ],
)
def test_what_no_published_model_has_is_refused(
    changes: dict[str, Any], said: str, published: Callable[..., Path]
) -> None:
    with pytest.raises(NotImplementedByWeightscope, match=said):
        weightscope.open(published(**changes)).forward(TOKENS)
