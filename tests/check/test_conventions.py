"""Faults of convention in models that are drawn as trained ones look; without the fault nothing is found.

What trained models look like is in docs/findings.md: rows that turn together have similar norms, which change from
frequency to frequency; norms with an offset reach down to where they switch dimensions off; matrices have uneven rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
)

import weightscope
from weightscope.findings import Finding

Tensors = dict[str, torch.Tensor]
FIXTURES = Path(__file__).parents[2] / "fixtures"
HEAD = 32
SIZES = {
    "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 8, "num_attention_heads": 4,
    "num_key_value_heads": 4, "vocab_size": 512, "head_dim": HEAD, "tie_word_embeddings": False,
}  # fmt: skip


def drawn(model: PreTrainedModel, folder: Path, norms: Callable[..., torch.Tensor]) -> Path:
    """A model whose matrices have uneven rows; those of queries and keys depend on their frequency."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.copy_(norms(len(weight)))
                continue
            weight.normal_(0, 0.02)
            rows = torch.exp(0.5 * torch.randn(len(weight), 1))
            if "q_proj" in name or "k_proj" in name:
                each = torch.exp(torch.randn(len(weight) // HEAD, HEAD // 2)) * 2
                rows = torch.cat((each, each), 1).reshape(-1, 1) * torch.exp(0.1 * torch.randn(len(weight), 1))
            weight.mul_(rows)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(LlamaForCausalLM(LlamaConfig(**SIZES)), tmp_path_factory.mktemp("llama"), torch.rand)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its norms multiply by numbers from 0 upwards."""
    model = Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, query_pre_attn_scalar=HEAD))
    return drawn(model, tmp_path_factory.mktemp("gemma"), lambda n: torch.exp(torch.randn(n)) - 1)


def found(source: Path, folder: Path, change: Callable[[Tensors], object]) -> list[Finding]:
    """What `check --values` says of conventions once `change` edited the tensors."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    findings = weightscope.open(folder).check(values=True)
    return [finding for finding in findings if finding.code == "convention-mismatch"]


def test_sound_models_follow_their_conventions(llama: Path, gemma: Path, tmp_path: Path) -> None:
    for place, model in enumerate((llama, gemma)):
        assert found(model, tmp_path / str(place), lambda t: None) == []


@pytest.mark.parametrize("name", ["llama", "mixtral", "gpt2", "deepseek-v3", "llava", "qwen3-mlx-4bit"])
def test_nothing_is_said_of_fixtures(name: str) -> None:
    findings = weightscope.open(FIXTURES / name).check(values=True)
    assert not {"convention-mismatch", "value-outlier", "constant-tensor"} & {finding.code for finding in findings}


@pytest.mark.parametrize("times", [1, 2])
def test_an_offset_that_was_already_added(times: int, gemma: Path, tmp_path: Path) -> None:
    def add(t: Tensors) -> None:
        t.update({name: tensor + times for name, tensor in t.items() if "input_layernorm" in name})

    (finding,) = found(gemma, tmp_path, add)
    assert finding.severity == "warning"
    assert finding.message.startswith("input_norm: the weights of these norms seem to have 1 already added: ")
    assert sorted(finding.names) == [f"model.layers.{layer}.input_layernorm.weight" for layer in range(8)]


def test_an_offset_that_was_taken_off(llama: Path, tmp_path: Path) -> None:
    def take(t: Tensors) -> None:
        t.update({name: tensor - 1 for name, tensor in t.items() if "post_attention_layernorm" in name})

    (finding,) = found(llama, tmp_path, take)
    assert finding.message.startswith("post_attention_norm: the weights of these norms seem to have 1 taken off: ")


def test_rows_of_pairs_of_neighbours(llama: Path, tmp_path: Path) -> None:
    """As Meta's own files have them."""

    def permute(t: Tensors) -> None:
        for name, tensor in t.items():
            if "q_proj" in name or "k_proj" in name:
                heads = tensor.reshape(-1, 2, HEAD // 2, tensor.shape[1])
                t[name] = heads.transpose(1, 2).reshape(tensor.shape)

    (finding,) = found(llama, tmp_path, permute)
    assert finding.message.startswith("q_proj, k_proj: rows seem to be in the order of another rotary embedding")
    assert len(list(finding.names)) == 16


def test_an_untrained_head(llama: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    (finding,) = found(llama, tmp_path, lambda t: t["lm_head.weight"].normal_(0, 0.02))
    assert finding.message.startswith("lm_head looks untrained")
    assert finding.tensors == ("lm_head.weight",)


WIDE = SIZES | {
    "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 8, "vocab_size": 64, "tie_word_embeddings": True,
}  # fmt: skip


def trained(model: PreTrainedModel, folder: Path) -> Path:
    """The numbers between layers differ in size, in all matrices that read or write them; rows of gate lean one way."""
    torch.manual_seed(0)
    sizes = torch.exp(0.5 * torch.randn(WIDE["hidden_size"]))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "layers" in name:
                weight.normal_(0, 0.02)
                half = weight[: WIDE["intermediate_size"]] if "gate" in name else weight[:0]
                half += 0.01 * torch.randn(weight.shape[1])
                weight.mul_(sizes[:, None] if name.endswith(("o_proj.weight", "down_proj.weight")) else sizes)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(LlamaForCausalLM(LlamaConfig(**WIDE)), tmp_path_factory.mktemp("wide"))


def swap(t: Tensors) -> None:
    ups = {name: tensor for name, tensor in t.items() if "up_proj" in name}
    for name, up in ups.items():
        gate = name.replace("up_proj", "gate_proj")
        t[name], t[gate] = t[gate], up


def swap_halves(t: Tensors) -> None:
    t.update({name: torch.cat(tensor.chunk(2)[::-1]) for name, tensor in t.items() if "gate_up_proj" in name})


def test_gate_and_up_swapped(wide: Path, tmp_path: Path) -> None:
    assert found(wide, tmp_path / "sound", lambda t: None) == []
    (finding,) = found(wide, tmp_path / "swapped", swap)
    assert finding.message.startswith("gate_proj and up_proj seem to be swapped: ")
    assert len(list(finding.names)) == 8


def test_halves_of_a_fused_matrix_swapped(tmp_path: Path) -> None:
    phi = trained(Phi3ForCausalLM(Phi3Config(**WIDE, pad_token_id=0)), tmp_path / "phi")
    assert found(phi, tmp_path / "sound", lambda t: None) == []
    (finding,) = found(phi, tmp_path / "swapped", swap_halves)
    assert finding.message.startswith("gate_proj and up_proj seem to be swapped: ")
    assert finding.tensors == ("model.layers.{0–3}.mlp.gate_up_proj.weight",)


@pytest.mark.parametrize("role", ["q_proj", "o_proj"])
def test_a_square_matrix_transposed(role: str, wide: Path, tmp_path: Path) -> None:
    (finding,) = found(wide, tmp_path, lambda t: t.update({name: w.T for name, w in t.items() if role in name}))
    assert finding.message.startswith(f"{role} seems to be stored transposed: ")
    assert finding.tensors == (f"model.layers.{{0–3}}.self_attn.{role}.weight",)


def test_a_model_that_is_untrained_as_a_whole_is_not_judged(tmp_path: Path) -> None:
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path / "fresh")
    assert found(tmp_path / "fresh", tmp_path / "copy", lambda t: None) == []
