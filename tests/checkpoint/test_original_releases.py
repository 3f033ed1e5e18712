"""Meta's and Mistral's own files, cut and spelled by their published rules, compute what transformers' form computes.

The rules: meta-llama's `llama/model.py` (which matrix is cut along which axis), and the permutation of q and k in
transformers' `convert_llama_weights_to_hf.py`, which is undone here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, MixtralConfig
from transformers import MixtralForCausalLM as Mixtral

import weightscope

DIM, HEADS, KEYS, LAYERS, VOCABULARY = 24, 6, 2, 2, 32
# The type of transformers whose tiny models are spelled anew here.
ORACLES = {"llama_original": "llama", "mistral_original": "mistral", "mixtral_original": "mixtral"}
IDS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]
NAMES = {
    "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def apart(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of q or k in the order in which neighbours turn together."""
    return weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def original(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict of transformers' form under the releases' names."""
    made = {}
    for name, weight in state.items():
        new = name.removeprefix("model.").removesuffix(".weight")
        new = {"embed_tokens": "tok_embeddings", "lm_head": "output"}.get(new, new)
        for old, spelled in NAMES.items():
            new = new.replace(old, spelled)
        heads = {"wq": HEADS, "wk": KEYS}.get(new.rpartition(".")[2])
        made[f"{new}.weight"] = (apart(weight, heads) if heads else weight).contiguous().clone()
    return made


def lively(net: Any) -> Any:
    torch.manual_seed(0)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3) if weight.ndim > 1 else torch.nn.init.uniform_(weight, 0.5, 1.5)
    return net.eval()


def llama(**more: Any) -> Any:
    return lively(
        LlamaForCausalLM(
            LlamaConfig(
                hidden_size=DIM,
                num_attention_heads=HEADS,
                num_key_value_heads=KEYS,
                num_hidden_layers=LAYERS,
                vocab_size=VOCABULARY,
                intermediate_size=72,
                rms_norm_eps=1e-5,
                rope_theta=5e5,
                **more,
            )
        )
    )


PARAMS = {
    "dim": DIM, "n_layers": LAYERS, "n_heads": HEADS, "n_kv_heads": KEYS, "norm_eps": 1e-5, "vocab_size": -1,
    "multiple_of": 8, "ffn_dim_multiplier": 1.1, "rope_theta": 5e5,
}  # fmt: skip


def cut(folder: Path, state: dict[str, torch.Tensor], parts: int, embedding_axis: int) -> None:
    """Files as tensor parallelism over so many ranks saves them."""
    axes = {
        "wq": 0,
        "wk": 0,
        "wv": 0,
        "w1": 0,
        "w3": 0,
        "output": 0,
        "wo": 1,
        "w2": 1,
        "tok_embeddings": embedding_axis,
    }
    for number in range(parts):
        made = {}
        for name, weight in state.items():
            axis = axes.get(name.split(".")[-2])
            made[name] = weight if axis is None else weight.chunk(parts, dim=axis)[number].clone()
        made["rope.freqs"] = torch.arange(DIM // HEADS // 2, dtype=torch.float32)
        torch.save(made, folder / f"consolidated.{number:02}.pth")


def agrees(folder: Path, net: Any, *, alone: bool = False) -> None:
    """Counts and logits; of a release that is on the Hub beside transformers' files, `check` says if it is `alone`."""
    model = weightscope.open(folder)
    serious = [(finding.code, finding.severity) for finding in model.check(values=True) if finding.severity != "info"]
    assert serious == ([("config-missing", "error")] if alone else [])
    assert model.parameters.total == sum(weight.numel() for weight in net.parameters())
    with torch.no_grad():
        wanted = net(torch.tensor([IDS])).logits[0].numpy()
    found = model.forward(IDS).logits.numpy()
    assert np.abs(found - wanted).max() < 1e-5 * np.sqrt((wanted**2).mean())


@pytest.mark.parametrize(("parts", "axis"), [(1, 0), (2, 0), (2, 1)])
def test_metas_files_compute_what_transformers_form_computes(parts: int, axis: int, tmp_path: Path) -> None:
    net = llama()
    cut(tmp_path, original(net.state_dict()), parts, axis)
    (tmp_path / "params.json").write_text(json.dumps(PARAMS))
    agrees(tmp_path, net)
    model = weightscope.open(tmp_path)
    assert torch.equal(model.tensors["tok_embeddings.weight"].torch(), net.state_dict()["model.embed_tokens.weight"])
    assert model.tensors["layers.1.feed_forward.w2.weight"].role == "down_proj"


def test_llama_3_scales_its_rotation(tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }  # fmt: skip
    net = llama(rope_scaling=scaling, max_position_embeddings=131072)
    cut(tmp_path, original(net.state_dict()), 1, 0)
    (tmp_path / "params.json").write_text(json.dumps(PARAMS | {"use_scaled_rope": True}))
    agrees(tmp_path, net)
    assert weightscope.open(tmp_path).config.data["rope_scaling"]["factor"] == 8.0  # type: ignore[union-attr]


MISTRAL_PARAMS = {
    "dim": DIM, "n_layers": LAYERS, "head_dim": 8, "hidden_dim": 40, "n_heads": HEADS, "n_kv_heads": KEYS,
    "norm_eps": 1e-5, "vocab_size": VOCABULARY,
}  # fmt: skip
MISTRAL_SIZES = {
    "hidden_size": DIM, "num_attention_heads": HEADS, "num_key_value_heads": KEYS, "num_hidden_layers": LAYERS,
    "vocab_size": VOCABULARY, "intermediate_size": 40, "rms_norm_eps": 1e-5, "head_dim": 8,
}  # fmt: skip


@pytest.mark.parametrize(("window", "theta"), [(None, 1e6), (4, 1e4)])
def test_mistrals_file(window: int | None, theta: float, tmp_path: Path) -> None:
    """Without `rope_theta` its code takes a million, or ten thousand where there is a window."""
    net = lively(MistralForCausalLM(MistralConfig(**MISTRAL_SIZES, sliding_window=window, rope_theta=theta)))
    save_file(original(net.state_dict()), tmp_path / "consolidated.safetensors")
    (tmp_path / "params.json").write_text(json.dumps(MISTRAL_PARAMS | ({"sliding_window": window} if window else {})))
    agrees(tmp_path, net, alone=True)


def test_mixtrals_experts(tmp_path: Path) -> None:
    net = lively(Mixtral(MixtralConfig(**MISTRAL_SIZES, rope_theta=1e6, num_local_experts=4, num_experts_per_tok=2)))
    made = {}
    for name, weight in original(net.state_dict()).items():
        place, _, what = name.partition(".mlp.")
        if what.startswith("experts.gate_up_proj"):
            for number, both in enumerate(weight):
                made[f"{place}.feed_forward.experts.{number}.w1.weight"] = both[:40].clone()
                made[f"{place}.feed_forward.experts.{number}.w3.weight"] = both[40:].clone()
        elif what.startswith("experts.down_proj"):
            made |= {f"{place}.feed_forward.experts.{i}.w2.weight": one.clone() for i, one in enumerate(weight)}
        else:
            made[name.replace(".mlp.", ".feed_forward.")] = weight
    save_file(made, tmp_path / "consolidated.safetensors")
    moe = {"num_experts": 4, "num_experts_per_tok": 2}
    (tmp_path / "params.json").write_text(json.dumps(MISTRAL_PARAMS | {"moe": moe}))
    agrees(tmp_path, net, alone=True)


def test_mistrals_shards_alone_are_half_of_a_download(tmp_path: Path, run: Any) -> None:
    """huggingface/huggingface_hub#3645: with the config beside them, nothing is missing."""
    net = lively(MistralForCausalLM(MistralConfig(**MISTRAL_SIZES, sliding_window=None, rope_theta=1e6)))
    save_file(original(net.state_dict()), tmp_path / "consolidated.safetensors")
    (tmp_path / "params.json").write_text(json.dumps(MISTRAL_PARAMS))
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "these are Mistral's own files, which transformers does not load" in " ".join(out.split())
    net.config.save_pretrained(tmp_path)
    assert run("check", tmp_path)[0] == 0


def test_a_missing_file_of_a_release(tmp_path: Path, run: Any) -> None:
    cut(tmp_path, original(llama().state_dict()), 2, 0)
    (tmp_path / "params.json").write_text(json.dumps(PARAMS))
    (tmp_path / "consolidated.00.pth").rename(tmp_path / "consolidated.02.pth")
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "consolidated.00.pth" in out
    assert "missing-tensor" not in out


def test_files_of_different_models(tmp_path: Path, run: Any) -> None:
    cut(tmp_path, original(llama().state_dict()), 2, 0)
    (tmp_path / "params.json").write_text(json.dumps(PARAMS))
    torch.save({"norm.weight": torch.ones(DIM)}, tmp_path / "consolidated.01.pth")
    code, _, err = run("inspect", tmp_path)
    assert code == 2
    assert err.count("\n") == 1
    assert "not alike in all files" in err


def test_what_of_mistrals_is_not_declared_is_named(tmp_path: Path, run: Any) -> None:
    net = lively(MistralForCausalLM(MistralConfig(**MISTRAL_SIZES)))
    save_file(original(net.state_dict()), tmp_path / "consolidated.safetensors")
    (tmp_path / "params.json").write_text(json.dumps(MISTRAL_PARAMS | {"q_lora_rank": 8}))
    code, out, _ = run("inspect", tmp_path)
    assert code == 0
    assert "original releases with 'q_lora_rank' are not declared" in " ".join(out.split())
    code, _, _ = run("check", tmp_path)
    assert code == 1


@pytest.mark.parametrize("wrong", [{"dim": "24"}, {"dim": 0}, {"multiple_of": -1}, {"vocab_size": None}])
def test_params_that_make_no_sense(wrong: dict[str, Any], tmp_path: Path, run: Any) -> None:
    (tmp_path / "params.json").write_text(json.dumps(PARAMS | {"vocab_size": 32} | wrong))
    code, _, err = run("inspect", tmp_path / "params.json")
    assert code == 2
    assert err.count("\n") == 1
