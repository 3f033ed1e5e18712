"""Megatron-LM's checkpoints are checked and computed by the run's own settings, as transformers' form of the model is.

The layout is that of Megatron-LM's `tools/checkpoint/loader_llama_mistral.py`, `loader_mixtral_hf.py` and
`saver_core.py`, and of transformers' `convert_megatron_gpt2_checkpoint.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

import weightscope
from tests.checkpoint.test_megatron import edit, save
from tests.checkpoint.test_original_releases import lively

# The type of transformers whose tiny models are spelled anew here.
ORACLES = {"megatron_gpt": "llama"}
WIDTH, HEADS, GROUPS, SIZE, INNER, WORDS, EXPERTS = 16, 4, 2, 4, 20, 24, 4
IDS = [3, 1, 4, 1, 5, 9, 2, 6]
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_key_value_heads": GROUPS, "num_hidden_layers": 2,
    "vocab_size": WORDS, "intermediate_size": INNER, "rms_norm_eps": 1e-5, "max_position_embeddings": 32,
}  # fmt: skip
ARGUMENTS: dict[str, Any] = {
    "num_layers": 2, "hidden_size": WIDTH, "num_attention_heads": HEADS, "ffn_hidden_size": INNER, "kv_channels": SIZE,
    "max_position_embeddings": 32, "group_query_attention": True, "num_query_groups": GROUPS, "swiglu": True,
    "normalization": "RMSNorm", "norm_epsilon": 1e-5, "add_bias_linear": False, "position_embedding_type": "rope",
    "rotary_base": 10000, "rotary_percent": 1.0, "untie_embeddings_and_output_weights": True,
    "padded_vocab_size": WORDS, "num_experts": None,
}  # fmt: skip
Tensors = dict[str, torch.Tensor]


def grouped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, groups: int) -> torch.Tensor:
    """Rows of each group: its queries, its key, its value."""
    return torch.cat([part for trio in zip(*(x.chunk(groups) for x in (q, k, v)), strict=True) for part in trio])


def of_llama(state: Tensors, *, norms_within: bool = False) -> Tensors:
    """A Llama or Mixtral under Megatron-Core's names; with Transformer Engine, norms are kept in matrices."""
    first = "self_attention.linear_qkv.layer_norm_weight" if norms_within else "input_layernorm.weight"
    second = "mlp.linear_fc1.layer_norm_weight" if norms_within else "pre_mlp_layernorm.weight"
    full = {
        "embedding.word_embeddings.weight": state["model.embed_tokens.weight"],
        "decoder.final_layernorm.weight": state["model.norm.weight"],
        "output_layer.weight": state["lm_head.weight"],
    }
    for layer in range(2):
        old, new = f"model.layers.{layer}.", f"decoder.layers.{layer}."
        q, k, v = (state[f"{old}self_attn.{name}_proj.weight"] for name in "qkv")
        full |= {
            f"{new}{first}": state[f"{old}input_layernorm.weight"],
            f"{new}self_attention.linear_qkv.weight": grouped(q, k, v, GROUPS),
            f"{new}self_attention.linear_proj.weight": state[f"{old}self_attn.o_proj.weight"],
            f"{new}{second}": state[f"{old}post_attention_layernorm.weight"],
        }
        if f"{old}mlp.up_proj.weight" in state:
            both = [state[f"{old}mlp.{name}_proj.weight"] for name in ("gate", "up")]
            full[f"{new}mlp.linear_fc1.weight"] = torch.cat(both)
            full[f"{new}mlp.linear_fc2.weight"] = state[f"{old}mlp.down_proj.weight"]
        else:
            full[f"{new}mlp.router.weight"] = state[f"{old}mlp.gate.weight"]
            for expert in range(EXPERTS):
                own = f"{new}mlp.experts.local_experts.{expert}."
                full[f"{own}linear_fc1.weight"] = state[f"{old}mlp.experts.gate_up_proj"][expert]
                full[f"{own}linear_fc2.weight"] = state[f"{old}mlp.experts.down_proj"][expert]
    return {name: tensor.clone() for name, tensor in full.items()}


def agrees(folder: Path, net: Any) -> None:
    """The check finds nothing, counts are those of transformers, and so are logits."""
    model = weightscope.open(folder)
    assert not [finding for finding in model.check(values=True) if finding.severity != "info"]
    assert model.parameters.total == sum(weight.numel() for weight in net.parameters())
    with torch.no_grad():
        wanted = net(torch.tensor([IDS])).logits[0].numpy()
    found = model.forward(IDS).logits.numpy()
    assert np.abs(found - wanted).max() < 1e-5 * np.sqrt((wanted**2).mean())


@pytest.mark.parametrize(("ranks", "norms_within"), [(1, True), (2, False)])
def test_a_llama(ranks: int, norms_within: bool, tmp_path: Path, run: Any) -> None:
    net = lively(LlamaForCausalLM(LlamaConfig(**SIZES)))
    save(tmp_path, of_llama(net.state_dict(), norms_within=norms_within), ranks, **ARGUMENTS)
    agrees(tmp_path, net)
    assert "Names and shapes match the run's arguments." in " ".join(run("inspect", tmp_path)[1].split())


def test_a_gpt_2(tmp_path: Path) -> None:
    """Learned positions, layer norms, biases, a tied head."""
    sizes = {"n_embd": WIDTH, "n_layer": 2, "n_head": HEADS, "n_positions": 32, "vocab_size": WORDS, "n_inner": INNER}
    net = lively(GPT2LMHeadModel(GPT2Config(**sizes)))
    state = net.state_dict()
    names = {
        "ln_1": "input_layernorm", "attn.c_attn": "self_attention.linear_qkv", "ln_2": "pre_mlp_layernorm",
        "attn.c_proj": "self_attention.linear_proj", "mlp.c_fc": "mlp.linear_fc1", "mlp.c_proj": "mlp.linear_fc2",
    }  # fmt: skip
    full = {
        "embedding.word_embeddings.weight": state["transformer.wte.weight"],
        "embedding.position_embeddings.weight": state["transformer.wpe.weight"],
        "decoder.final_layernorm.weight": state["transformer.ln_f.weight"],
        "decoder.final_layernorm.bias": state["transformer.ln_f.bias"],
    }
    for layer in range(2):
        for old, new in names.items():
            for leaf in ("weight", "bias"):
                tensor = state[f"transformer.h.{layer}.{old}.{leaf}"]
                tensor = tensor.T if leaf == "weight" and tensor.ndim == 2 else tensor
                if old == "attn.c_attn":
                    q, k, v = tensor.chunk(3)
                    tensor = grouped(q, k, v, HEADS)
                full[f"decoder.layers.{layer}.{new}.{leaf}"] = tensor.clone()
    arguments = ARGUMENTS | {
        "group_query_attention": False, "swiglu": False, "normalization": "LayerNorm", "add_bias_linear": True,
        "position_embedding_type": "learned_absolute", "untie_embeddings_and_output_weights": False,
        "bias_gelu_fusion": True,
    }  # fmt: skip
    save(tmp_path, full, 2, gated=False, **arguments)
    agrees(tmp_path, net)


def save_experts(folder: Path, full: Tensors, ranks: int, **more: Any) -> None:
    """Files of expert-parallel ranks: each numbers its own experts from 0."""
    each = EXPERTS // ranks
    for rank in range(ranks):
        model = {}
        for name, tensor in full.items():
            before, _, after = name.partition(".local_experts.")
            number, _, leaf = after.partition(".")
            if not after:
                model[name] = tensor
            elif int(number) // each == rank:
                model[f"{before}.local_experts.{int(number) % each}.{leaf}"] = tensor
        place = folder / "iter_0000100" / f"mp_rank_00_{rank:03}"
        place.mkdir(parents=True)
        arguments = argparse.Namespace(expert_model_parallel_size=ranks, tensor_model_parallel_size=1, **more)
        state = {"args": arguments, "checkpoint_version": 3.0, "iteration": 100, "model": model}
        torch.save(state, place / "model_optim_rng.pt")
    (folder / "latest_checkpointed_iteration.txt").write_text("100")


MIXTURE = ARGUMENTS | {
    "num_experts": EXPERTS, "moe_router_topk": 2, "moe_layer_freq": 1, "moe_ffn_hidden_size": INNER,
    "rotary_base": 1000000,
}  # fmt: skip


def test_a_mixture_whose_experts_lie_on_several_ranks(tmp_path: Path) -> None:
    net = lively(MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=EXPERTS, sliding_window=None)))
    full = of_llama(net.state_dict())
    save_experts(tmp_path, full, 2, **MIXTURE)
    assert set(weightscope.open(tmp_path).tensors) == set(full)
    agrees(tmp_path, net)


def test_a_missing_expert_rank_is_named(tmp_path: Path, run: Any) -> None:
    full = {"decoder.layers.0.mlp.experts.local_experts.0.linear_fc1.weight": torch.ones(2, 2)}
    save_experts(tmp_path, full, 2, **MIXTURE)
    (tmp_path / "iter_0000100" / "mp_rank_00_001" / "model_optim_rng.pt").unlink()
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "1 of 2 ranks are missing: mp_rank_00_001" in " ".join(out.split())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"multi_latent_attention": True}, "multi_latent_attention True of Megatron-LM is not declared"),
        ({"position_embedding_type": "yarn"}, "position_embedding_type 'yarn' of Megatron-LM is not declared"),
    ],
)
def test_settings_that_are_not_declared_are_named(change: dict[str, Any], words: str, tmp_path: Path, run: Any) -> None:
    net = LlamaForCausalLM(LlamaConfig(**SIZES))
    save(tmp_path, of_llama(net.state_dict()), 1, **(ARGUMENTS | change))
    code, out, _ = run("inspect", tmp_path)
    assert code == 0
    assert words in " ".join(out.split())
    code, _, err = run("forward", tmp_path, "--tokens", "1,2")
    assert (code, err.count("\n")) == (2, 1)


def test_a_planted_fault_is_found(tmp_path: Path, run: Any) -> None:
    net = LlamaForCausalLM(LlamaConfig(**SIZES))
    save(tmp_path, of_llama(net.state_dict()), 1, **ARGUMENTS)
    edit(tmp_path, "mp_rank_00", lambda saved: saved["model"].pop("decoder.layers.1.mlp.linear_fc2.weight"))
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "decoder.layers.1.mlp.linear_fc2.weight" in " ".join(out.split())
