"""Types that transformers 5 spells otherwise than they were published: every spelling gives the same model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY
from weightscope.config import read_config
from weightscope.families.declaration import declare

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


def minimax_m3_as_published(tensors: Tensors) -> Tensors:
    """MiniMax's names: each expert's matrices, gates and what is beside them apart."""
    found: Tensors = {}
    for old, tensor in tensors.items():
        name = re.sub(r"\.mlp\.(experts|gate|shared_experts)\.", r".block_sparse_moe.\1.", old)
        name = name.replace("gate.e_score_correction_bias", "e_score_correction_bias")
        name = name.replace(".indexer.", ".index_")
        if name.endswith("experts.gate_up_proj"):
            for number, both in enumerate(tensor):
                gate, up = both.chunk(2)
                stem = f"{name.removesuffix('gate_up_proj')}{number}"
                found |= {f"{stem}.w1.weight": gate, f"{stem}.w3.weight": up}
        elif name.endswith("experts.down_proj"):
            stem = name.removesuffix("down_proj")
            found |= {f"{stem}{number}.w2.weight": part for number, part in enumerate(tensor)}
        elif "gate_up_proj" in name:
            for part, half in zip(("gate_proj", "up_proj"), tensor.chunk(2), strict=True):
                found[name.replace("gate_up_proj", part)] = half
        else:
            found[name] = tensor
    return {name: tensor.contiguous() for name, tensor in found.items()}


PUBLISHED: dict[str, Callable[[Tensors], Tensors]] = {
    "olmo_hybrid": olmo_hybrid_as_published,
    "olmo_hybrid-bias-tied": olmo_hybrid_as_published,
    "minimax_m3_vl_text": minimax_m3_as_published,
    "minimax_m3_vl_text-partial-tied": minimax_m3_as_published,
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
    alone = declare(read_config(tmp_path / "config.json"))
    assert alone is not None
    assert {n for slot in alone.slots if not slot.stored.optional for n in slot.names()} == set(tensors)


def test_minimax_m3_is_not_computed_where_its_indexer_chooses(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Sixteen blocks of four tokens are seen whole."""
    (tmp_path / "model.safetensors").write_bytes((saved("minimax_m3_vl_text") / "model.safetensors").read_bytes())
    keys = json.loads((saved("minimax_m3_vl_text") / "config.json").read_text()) | {"index_block_size": 4}
    (tmp_path / "config.json").write_text(json.dumps(keys))
    model = weightscope.open(tmp_path)
    assert model.forward([1] * 64).logits.shape == (64, 101)
    with pytest.raises(weightscope.WeightscopeError, match="more than 64 tokens"):
        model.forward([1] * 65)


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_transformers_holds_it(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """A state dict, saved without transformers' renaming."""
    oracle = next(tiny for tiny in TINY if tiny.name == name).build()
    tied = oracle.config.tie_word_embeddings
    state = {key: t.contiguous() for key, t in oracle.state_dict().items() if not (tied and key == "lm_head.weight")}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    the_same(tmp_path, saved(name))


@pytest.mark.parametrize("name", ["voxtral-base", "qwen2_audio-base"])
def test_a_base_model_as_transformers_holds_it(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    state = next(tiny for tiny in TINY if tiny.name == name).build().state_dict()
    assert "language_model.norm.weight" in state
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    model = weightscope.open(tmp_path)
    assert model.parameters.total == weightscope.open(saved(name)).parameters.total
    assert [finding for finding in model.check() if finding.severity != "info"] == []


def shared_blocks(tensors: Tensors) -> dict[str, list[str]]:
    """The prefixes of Zamba's blocks in the layers that they enter, by the block's own name."""
    found: dict[str, list[str]] = {}
    for name in tensors:
        match = re.match(r"(model\.layers\.\d+)\.(shared_transf|shared_transformer)\.", name)
        if match and match[0] not in found.setdefault(match[2], []):
            found[match[2]].append(match[0])
    return found


@pytest.mark.parametrize("name", ["zamba", "zamba2"])
def test_copies_of_a_shared_block_are_recognized_and_not_counted(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """As files hold them that were not written by transformers: under each layer that the block enters."""
    tensors = load_file(saved(name) / "model.safetensors")
    oracle = next(tiny for tiny in TINY if tiny.name == name).build().state_dict()
    copies = {key: tensor.clone() for key, tensor in oracle.items() if ".shared_transf" in key and key not in tensors}
    assert copies
    save_file(tensors | copies, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    the_same(tmp_path, saved(name))


def test_an_adapter_of_a_shared_block_is_explained(saved: Callable[[str], Path]) -> None:
    """The number of the adapter is not taken for that of the layer."""
    name = "model.layers.2.shared_transformer.self_attn.linear_q_adapter_list.1.0.weight"
    explained = weightscope.open(saved("zamba2")).explain(name)
    assert (explained.layer, explained.roles, explained.component) == (2, ("lora_a",), "adapter")
    assert explained.terms == ("lora_a·x   3 numbers",)


@pytest.mark.parametrize("name", ["zamba-biases-untied", "zamba2-biases-untied"])
def test_blocks_are_shared_though_the_head_is_not_tied(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """transformers 5 then makes a block for each layer; earlier releases shared them, and saved each once."""
    tensors = load_file(saved(name) / "model.safetensors")
    ((first, *others),) = shared_blocks(tensors).values()
    alike = tensors | {
        f"{other}{key.removeprefix(first)}": tensor.clone()
        for key, tensor in tensors.items()
        if key.startswith(first)
        for other in others
    }
    once = {key: tensor for key, tensor in tensors.items() if not key.startswith(tuple(others))}
    models = []
    for part, directory in ((alike, tmp_path / "alike"), (once, tmp_path / "once")):
        directory.mkdir()
        save_file(part, directory / "model.safetensors")
        (directory / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
        model = weightscope.open(directory)
        assert model.parameters.total == sum(tensor.numel() for tensor in part.values())
        assert [finding for finding in model.check() if finding.severity != "info"] == []
        models.append(model)
    expected, found = (model.forward(TOKENS).logits for model in models)
    torch.testing.assert_close(found, expected)
