"""LongCat-Flash's zero experts, which answer with their input: published without matrices, which 5.23 saves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.components.test_logits import TOKENS
from tests.families.tiny import Tiny
from tests.families.tiny_mixtures import LONGCAT
from weightscope.errors import WeightscopeError

EXPERTS, ZEROS, LAYERS = 5, 4, 3
# Gate and up, [14, 24] each, of every zero expert in every layer.
IDLE = LAYERS * ZEROS * 2 * 14 * 24
TINY = Tiny("", "LongcatFlash", LONGCAT | {"zero_expert_num": ZEROS})


@pytest.fixture(scope="module")
def oracle() -> transformers.PreTrainedModel:
    return TINY.build()


@pytest.fixture(scope="module")
def expected(oracle: transformers.PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = oracle(torch.tensor([TOKENS]), use_cache=False).logits[0]
    return logits


def held(directory: Path, expected: torch.Tensor, total: int) -> weightscope.Model:
    """The model, without a finding and with the oracle's logits."""
    model = weightscope.open(directory)
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == total
    for hold in (False, True):
        logits = model.forward(TOKENS, hold=hold).logits
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    return model


def test_as_transformers_saves_it(oracle: transformers.PreTrainedModel, expected: torch.Tensor, tmp_path: Path) -> None:
    """With matrices that it never uses."""
    oracle.save_pretrained(tmp_path)
    held(tmp_path, expected, oracle.num_parameters())


def test_as_published(oracle: transformers.PreTrainedModel, expected: torch.Tensor, tmp_path: Path) -> None:
    """Zero experts have no tensors, and the config alone counts none."""
    oracle.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    numbers = {name: re.search(r"experts\.(\d+)\.", name) for name in tensors}
    published = {name: tensors[name] for name, found in numbers.items() if not found or int(found[1]) < EXPERTS}
    assert len(tensors) - len(published) == LAYERS * ZEROS * 2
    save_file(published, tmp_path / "model.safetensors")
    total = oracle.num_parameters() - IDLE
    model = held(tmp_path, expected, total)
    assert weightscope.open(tmp_path / "config.json").parameters.total == total
    # Three matrices of three experts in each layer are used, of five.
    assert model.parameters.active == total - LAYERS * (EXPERTS - 3) * 3 * 14 * 24


def test_as_held_in_memory(oracle: transformers.PreTrainedModel, expected: torch.Tensor, tmp_path: Path) -> None:
    oracle.config.save_pretrained(tmp_path)
    save_file(
        {name: tensor.contiguous() for name, tensor in oracle.state_dict().items()}, tmp_path / "model.safetensors"
    )
    model = held(tmp_path, expected, oracle.num_parameters())
    unused = LAYERS * ((EXPERTS + ZEROS - 3) * 2 + EXPERTS - 3) * 14 * 24
    assert model.parameters.active == oracle.num_parameters() - unused


def test_some_tokens_choose_a_zero_expert(oracle: transformers.PreTrainedModel) -> None:
    """Else the tests above would show nothing."""
    chosen: list[torch.Tensor] = []
    for layer in oracle.model.layers:
        layer.mlp.router.register_forward_hook(lambda _module, _inputs, made: chosen.append(made[2]))
    with torch.no_grad():
        oracle(torch.tensor([TOKENS]), use_cache=False)
    every = torch.cat(chosen)
    assert (every >= EXPERTS).any(dim=-1).float().mean() > 0.3
    assert (every < EXPERTS).any(dim=-1).float().mean() > 0.3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"qk_head_dim": 13}, "qk_head_dim is 13, but qk_nope_head_dim 8 and qk_rope_head_dim 4 add up to 12"),
        ({"zero_expert_type": "copy"}, "zero_expert_type 'copy'"),
        ({"mla_scale_q_lora": False}, "mla_scale_q_lora False"),
        ({"head_dim": 3}, "head_dim other than qk_rope_head_dim"),
    ],
)
def test_what_is_refused(changed: dict[str, object], said: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    config = json.loads((saved("longcat_flash") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changed))
    (tmp_path / "model.safetensors").write_bytes((saved("longcat_flash") / "model.safetensors").read_bytes())
    with pytest.raises(WeightscopeError, match=said):
        weightscope.open(tmp_path).forward(TOKENS)
