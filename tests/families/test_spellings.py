"""Types that transformers 5 spells otherwise than they were published: every spelling gives the same model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY

Tensors = dict[str, torch.Tensor]
TOKENS = [7, 3, 99, 0, 42, 17]


def olmo_hybrid_as_published(tensors: Tensors) -> Tensors:
    """Ai2's kernels of queries, keys and values are as long as what they run over, which differs."""
    found = {}
    for name, tensor in tensors.items():
        layer = re.match(r"(model\.layers\.\d+)\.", name)
        attends = layer is not None and f"{layer[1]}.self_attn.q_proj.weight" in tensors
        if "_conv1d." not in name:
            found[name.replace(".feedforward_layer_norm.", ".post_attention_layernorm.") if attends else name] = tensor
        elif "q_conv1d" in name:
            names = [name.replace("q_conv1d", f"{part}_conv1d") for part in "qkv"]
            whole = torch.cat([tensors[other] for other in names])
            rows = [len(tensors[other.replace("_conv1d", "_proj")]) for other in names]
            found |= dict(zip(names, torch.split(whole, rows), strict=True))
    return {name: tensor.contiguous() for name, tensor in found.items()}


PUBLISHED: dict[str, Callable[[Tensors], Tensors]] = {
    "olmo_hybrid": olmo_hybrid_as_published,
    "olmo_hybrid-bias-tied": olmo_hybrid_as_published,
}


def the_same(directory: Path, original: Path) -> None:
    """Counted as the original, without a finding, with the same logits."""
    model, before = weightscope.open(directory), weightscope.open(original)
    assert model.parameters.total == before.parameters.total
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    torch.testing.assert_close(model.forward(TOKENS).logits, before.forward(TOKENS).logits)


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_published(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    tensors = PUBLISHED[name](load_file(saved(name) / "model.safetensors"))
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    the_same(tmp_path, saved(name))


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_transformers_holds_it(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """A state dict, saved without transformers' renaming."""
    oracle = next(tiny for tiny in TINY if tiny.name == name).build()
    tied = oracle.config.tie_word_embeddings
    state = {key: t.contiguous() for key, t in oracle.state_dict().items() if not (tied and key == "lm_head.weight")}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    the_same(tmp_path, saved(name))
