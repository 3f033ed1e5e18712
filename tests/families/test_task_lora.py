"""jina-embeddings-v3 as published: a LoRA of each task beside every matrix, one of which a pass adds.

Facts: `XLMRobertaFlashConfig` and `LoRAParametrization` of jinaai/xlm-roberta-flash-implementation; the names that
MLC's loader lists. Its encoder is that of transformers' `JinaEmbeddingsV3Model`, whose values are the oracle.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_kin import ROBERTA
from tests.forward.test_encoders import TOKENS, lively, off

TASKS = ["retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"]
RANK = 4
PUBLISHED: dict[str, Any] = {
    "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "vocab_size": 250002, "hidden_size": 1024,
    "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096, "hidden_act": "gelu",
    "max_position_embeddings": 8194, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1,
    "position_embedding_type": "rotary", "rotary_emb_base": 20000.0, "lora_adaptations": TASKS, "lora_rank": RANK,
    "lora_alpha": 1, "lora_dropout_p": 0.0, "load_trained_adapters": True,
}  # fmt: skip
TINY = Tiny("jina", "JinaEmbeddingsV3", ROBERTA | {"layer_norm_eps": 1e-5, "rope_theta": 20000.0}, "Model")
ADAPTED = ("Wqkv", "out_proj", "fc1", "fc2", "dense", "word_embeddings", "token_type_embeddings")
# Elements of the two factors for each task: of the tables, of the four matrices of a layer, of the pooler.
FACTORS = 4 * ((250_002 + 1024) + (1 + 1024) + 24 * ((1024 + 3072) + 2048 + 5120 + 5120) + 2048)


def write(directory: Path, *, tasks: bool) -> Any:
    """A tiny one in the published layout; transformers' own model of it."""
    oracle = lively(TINY, directory)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(directory / "model.safetensors").items():
        module, _, leaf = name.rpartition(".")
        adapted = tasks and leaf == "weight" and module.endswith(ADAPTED)
        tensors[f"roberta.{module}.parametrizations.weight.original" if adapted else f"roberta.{name}"] = tensor
        if adapted:
            out, into = tensor.shape
            shapes = ((5, out, RANK), (5, RANK, into)) if "embeddings" in module else ((5, RANK, into), (5, out, RANK))
            for factor, shape in zip("AB", shapes, strict=True):
                tensors[f"roberta.{module}.parametrizations.weight.0.lora_{factor}"] = torch.randn(shape)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    config = {name: value for name, value in PUBLISHED.items() if tasks or "adapt" not in name} | TINY.keys
    (directory / "config.json").write_text(json.dumps(config))
    return oracle


def test_the_published_count(tmp_path: Path) -> None:
    """572,310,396 numbers, of which the LoRAs are 12,946,300; 24 layers of 16 + 4 tensors, and 12 beside them."""
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED))
    model = weightscope.open(tmp_path / "config.json")
    assert model.parameters.total == 572_310_396
    assert {part.component: part.parameters for part in model.components}["adapter"] == 5 * FACTORS == 12_946_300
    assert model.declaration
    names = {name for slot in model.declaration.slots if not slot.stored.optional for name in slot.names()}
    assert len(names) == 24 * (16 + 4) + 12
    assert {
        "roberta.embeddings.word_embeddings.parametrizations.weight.0.lora_A",
        "roberta.embeddings.token_type_embeddings.parametrizations.weight.original",
        "roberta.emb_ln.bias",
        "roberta.encoder.layers.23.mixer.Wqkv.parametrizations.weight.0.lora_B",
        "roberta.encoder.layers.23.mixer.Wqkv.bias",
        "roberta.encoder.layers.0.mixer.out_proj.parametrizations.weight.original",
        "roberta.encoder.layers.0.norm1.weight",
        "roberta.encoder.layers.0.mlp.fc2.parametrizations.weight.0.lora_A",
        "roberta.pooler.dense.parametrizations.weight.original",
        "roberta.pooler.dense.bias",
    } <= names


def test_without_a_task_no_lora_is_applied(tmp_path: Path) -> None:
    oracle = write(tmp_path, tasks=True)
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    stored = load_file(tmp_path / "model.safetensors")
    assert model.parameters.total == sum(tensor.numel() for tensor in stored.values())
    kept: dict[str, torch.Tensor] = {}
    found = model.forward(TOKENS, keep=lambda name, x: kept.update({name: x})).output
    with torch.no_grad():
        expected = oracle(input_ids=torch.tensor([TOKENS]))
    assert found is not None
    assert off(found, expected.last_hidden_state[0]) < 1e-4
    assert off(kept["pooled"], expected.pooler_output) < 1e-4
    explained = model.explain("roberta.encoder.layers.0.mlp.fc1.parametrizations.weight.0.lora_A")
    assert explained.roles == ("lora_a",)
    assert "--task" in str(explained.terms)


def with_task(oracle: Any, tensors: dict[str, torch.Tensor], number: int, directory: Path) -> Any:
    """transformers' model with alpha/rank · B·A of a task added to each weight, or A·B to a table's.

    So `LoRAParametrization.lora_forward` does; alpha is 2 and the rank 4 here.
    """
    oracle.save_pretrained(directory)
    merged = {}
    for name, tensor in tensors.items():
        if "lora_" in name:
            continue
        module, adapted, _ = name.removeprefix("roberta.").partition(".parametrizations.weight.original")
        if not adapted:
            merged[module] = tensor
            continue
        a, b = (tensors[name.replace("original", f"0.lora_{factor}")][number] for factor in "AB")
        merged[f"{module}.weight"] = tensor + (a @ b if "embeddings" in module else b @ a) * 0.5
    save_file(merged, directory / "model.safetensors", metadata={"format": "pt"})
    return type(oracle).from_pretrained(directory).eval()


@pytest.mark.parametrize("task", TASKS)
def test_the_lora_of_a_task(task: str, tmp_path: Path) -> None:
    oracle = write(tmp_path, tasks=True)
    config = json.loads((tmp_path / "config.json").read_text()) | {"lora_alpha": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    changed = with_task(oracle, load_file(tmp_path / "model.safetensors"), TASKS.index(task), tmp_path / "merged")
    kept: dict[str, torch.Tensor] = {}
    found = weightscope.open(tmp_path).forward(TOKENS, task=task, keep=lambda name, x: kept.update({name: x})).output
    with torch.no_grad():
        expected, plain = (model(input_ids=torch.tensor([TOKENS])) for model in (changed, oracle))
    assert found is not None
    assert off(found, expected.last_hidden_state[0]) < 1e-4
    assert off(kept["pooled"], expected.pooler_output) < 1e-4
    assert off(plain.last_hidden_state[0], expected.last_hidden_state[0]) > 1e-2


def test_every_factor_of_the_task_matters(tmp_path: Path) -> None:
    """But the pooler's, which the last hidden states do not go through."""
    write(tmp_path, tasks=True)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    before = weightscope.open(tmp_path).forward(TOKENS, task=TASKS[1]).output
    assert before is not None
    for name in [name for name in tensors if "lora_" in name and "pooler" not in name]:
        other = tensors[name].clone()
        other[1] += torch.randn(other[1].shape, generator=torch.Generator().manual_seed(3))
        save_file(tensors | {name: other}, path, metadata={"format": "pt"})
        found = weightscope.open(tmp_path).forward(TOKENS, task=TASKS[1]).output
        assert found is not None
        assert off(found, before) > 1e-3, name


def test_a_task_that_is_not_there(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    write(tmp_path, tasks=True)
    status, _, error = run("forward", tmp_path, "--tokens", "5,6", "--task", "retrieval")
    assert status == 2
    assert "this model has no LoRA for 'retrieval'" in error
    assert "it has retrieval.query, retrieval.passage, separation" in error
    status, _, error = run("forward", tmp_path, "--tokens", "5,6", "--task", TASKS[0], "--compare", "transformers")
    assert (status, "--task and --compare are mutually exclusive" in error) == (2, True)
    assert run("forward", tmp_path, "--tokens", "5,6", "--task", TASKS[0])[0] == 0
    write(tmp_path, tasks=False)
    status, _, error = run("forward", tmp_path, "--tokens", "5,6", "--task", TASKS[0])
    assert (status, "this model has no LoRA for a task" in error) == (2, True)


def test_the_instruction_of_a_task_stands_before_a_text(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    write(tmp_path, tasks=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"task_instructions": {TASKS[0]: "w7 w8 "}}))
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(60)}, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for options, ids in ((("--task", TASKS[0]), [7, 8, 5]), ((), [5]), (("--task", TASKS[2]), [5])):
        status, out, _ = run("forward", tmp_path, "--prompt", "w5", *options, "--format", "json")
        assert (status, json.loads(out)["token_ids"]) == (0, ids)
        assert json.loads(out)["task"] == (options[1] if options else None)


def test_an_encoder_without_tasks(tmp_path: Path) -> None:
    """As they are before LoRAs are trained: the published names without torch's parametrization."""
    oracle = write(tmp_path, tasks=False)
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == oracle.num_parameters()
    with torch.no_grad():
        expected = oracle(input_ids=torch.tensor([TOKENS])).last_hidden_state[0]
    found = model.forward(TOKENS).output
    assert found is not None
    assert off(found, expected) < 1e-4
