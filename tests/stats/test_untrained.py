"""A hint that weights look untrained, held against what transformers initializes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import weightscope
from weightscope.analyses.stats.result import Stats
from weightscope.analyses.stats.untrained import untrained

CONFIG = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, initializer_range=0.05,
)  # fmt: skip


def figures(folder: Path, change: Callable[[LlamaForCausalLM], object]) -> Stats:
    torch.manual_seed(5)
    model = LlamaForCausalLM(CONFIG)
    with torch.no_grad():
        change(model)
    model.save_pretrained(folder)
    return weightscope.open(folder).stats()


def test_what_transformers_initializes_looks_untrained(tmp_path: Path) -> None:
    found = untrained(figures(tmp_path, lambda model: model))
    assert found is not None
    # 7 projections in each of 2 layers, the embedding and the head; 2 norms in each and the last.
    assert (found.matrices, found.norms, found.norm) == (16, 5, 1.0)
    assert 0.048 < found.low < found.high < 0.052


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.model.norm.weight[3].add_(0.01),
        lambda model: model.model.layers[1].mlp.up_proj.weight.mul_(1.3),
        lambda model: model.model.layers[0].self_attn.q_proj.weight.add_(0.05),
        lambda model: model.lm_head.weight[6].fill_(float("nan")),
    ],
    ids=["a norm", "another size", "a mean", "not finite"],
)
def test_one_sign_of_training_is_enough(change: Callable[[LlamaForCausalLM], object], tmp_path: Path) -> None:
    assert untrained(figures(tmp_path, change)) is None
