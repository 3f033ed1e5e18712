"""What is special to mixtures: experts that a token leaves out, and their two layouts on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY, Tiny
from weightscope.components.base import find
from weightscope.components.moe import MixtureOfExperts
from weightscope.ranges import template_of

TOKENS = [7, 3, 99, 0, 42, 42, 17, 5, 88, 61, 2]


def is_mixture(tiny: Tiny) -> bool:
    return tiny.model == "ForCausalLM" and any(".experts." in name for name, _ in tiny.build().named_parameters())


MIXTURES = [tiny for tiny in TINY if is_mixture(tiny)]
every_mixture = pytest.mark.parametrize("tiny", MIXTURES, ids=lambda tiny: tiny.name)


@every_mixture
def test_active_leaves_out_the_experts_that_a_token_does_not_use(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    """Counted on transformers' own modules: its packed experts have the expert as their first dimension."""
    oracle = tiny.build()
    config = oracle.config
    chosen = config.ffn_config.moe_top_k if tiny.kind == "Dbrx" else config.num_experts_per_tok
    experts = [parameter for name, parameter in oracle.named_parameters() if ".experts." in name]
    unused = sum(parameter[chosen:].numel() for parameter in experts)
    assert unused
    model = weightscope.open(saved(tiny.name))
    assert model.parameters.active == oracle.num_parameters() - unused
    assert model.declaration is not None
    for mixture in find(model.declaration.tree, MixtureOfExperts):
        assert (mixture.chosen, mixture.experts) == (chosen, len(experts[0]))


@every_mixture
def test_experts_stacked_as_in_memory_are_read_as_well(
    tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Whoever saves a state dict of transformers 5 has the names that it holds in memory."""
    published = load_file(saved(tiny.name) / "model.safetensors")
    state = {name: tensor.contiguous() for name, tensor in tiny.build().state_dict().items()}
    if state.keys() == published.keys():
        pytest.skip("in memory as on disk")
    if "lm_head.weight" not in published:
        del state["lm_head.weight"]
    (tmp_path / "config.json").write_bytes((saved(tiny.name) / "config.json").read_bytes())
    save_file(state, tmp_path / "model.safetensors")
    apart, stacked = weightscope.open(saved(tiny.name)), weightscope.open(tmp_path)
    assert stacked.summary().tensors.unrecognized == ()
    assert [finding for finding in stacked.check() if finding.severity != "info"] == []
    assert (stacked.parameters.total, stacked.parameters.active) == (apart.parameters.total, apart.parameters.active)
    torch.testing.assert_close(stacked.forward(TOKENS).logits, apart.forward(TOKENS).logits, rtol=0, atol=0)


@every_mixture
def test_check_of_a_tiny_model_finds_nothing(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    assert [finding for finding in weightscope.open(saved(tiny.name)).check() if finding.severity != "info"] == []


@every_mixture
def test_weights_held_in_memory_give_the_same(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved(tiny.name))
    once, held = model.forward(TOKENS).logits, model.forward(TOKENS, hold=True).logits
    torch.testing.assert_close(held, once, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["qwen2_moe", "qwen3_moe", "deepseek_v2-biases-yarn", "deepseek_v32-listed", "glm_moe_dsa-shared"]
)
def test_every_tensor_matters(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Each kind of tensor changed in turn, in all layers and experts: the logits must change."""
    tensors = load_file(saved(name) / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    kinds: dict[str, list[str]] = {}
    for tensor in tensors:
        kinds.setdefault(template_of(tensor)[0], []).append(tensor)

    def logits(changed: list[str]) -> torch.Tensor:
        noise = torch.Generator().manual_seed(1)
        new = {n: t + torch.rand(t.shape, generator=noise) if n in changed else t for n, t in tensors.items()}
        save_file(new, tmp_path / "model.safetensors")
        return weightscope.open(tmp_path).forward(TOKENS).logits

    before = logits([])
    unmoved = [kind for kind, names in kinds.items() if torch.allclose(logits(names), before, atol=1e-5)]
    assert unmoved == []
