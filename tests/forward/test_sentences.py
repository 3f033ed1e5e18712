"""Vectors of texts as a sentence-transformers folder says; masks, classes; every mode of pooling by its own rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from tests.forward.seeing import enlivened
from weightscope.analyses.forward.sentences import read_sentences
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, WeightscopeError

Run = Callable[..., tuple[int, str, str]]
BERT: dict[str, Any] = {
    "vocab_size": 11, "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 3, "num_attention_heads": 6,
    "max_position_embeddings": 37,
}  # fmt: skip
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "the", "cat", "sat", "tax", "law", "."]
HIDDEN = torch.randn(5, 24, generator=torch.Generator().manual_seed(1))


def encoder(directory: Path, model: str, **keys: Any) -> Any:
    """A lively tiny BERT with a tokenizer of a few words; transformers' own model of it."""
    torch.manual_seed(0)
    config = transformers.BertConfig(**BERT | keys)
    oracle = enlivened(getattr(transformers, f"Bert{model}")(config).eval())
    oracle.save_pretrained(directory)
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.add_special_tokens(WORDS[:5])
    tokenizer.save(str(directory / "tokenizer.json"))
    return oracle


def sentence_folder(directory: Path, pooling: dict[str, Any], *more: tuple[str, dict[str, Any]]) -> None:
    """The files that sentence-transformers writes beside a model."""
    kinds = [("Transformer", None), ("Pooling", pooling), *more]
    modules = []
    for number, (kind, settings) in enumerate(kinds):
        path = "" if settings is None else f"{number}_{kind}"
        modules.append({"idx": number, "path": path, "type": f"sentence_transformers.models.{kind}"})
        if settings is not None:
            (directory / path).mkdir(exist_ok=True)
            (directory / path / "config.json").write_text(json.dumps(settings))
    (directory / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"pooling_mode_cls_token": True}, HIDDEN[0]),
        ({"pooling_mode_mean_tokens": True}, HIDDEN.sum(0) / 5),
        ({"pooling_mode_max_tokens": True}, torch.stack([HIDDEN[:, i].max() for i in range(24)])),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, HIDDEN.sum(0) / 5**0.5),
        ({"pooling_mode_lasttoken": True}, HIDDEN[4]),
        ({"pooling_mode_weightedmean_tokens": True}, sum((i + 1) * HIDDEN[i] for i in range(5)) / 15),
        ({"pooling_mode": "mean"}, HIDDEN.sum(0) / 5),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, torch.cat((HIDDEN[0], HIDDEN.sum(0) / 5))),
    ],
)
def test_pooling(settings: dict[str, Any], expected: torch.Tensor, tmp_path: Path) -> None:
    """By the formulas of sentence-transformers' page on pooling."""
    sentence_folder(tmp_path, settings)
    found = read_sentences(tmp_path)
    assert found is not None
    torch.testing.assert_close(found.vector(HIDDEN), expected)


def test_dense_layers_and_length_one(tmp_path: Path) -> None:
    dense = {
        "in_features": 24,
        "out_features": 7,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    sentence_folder(tmp_path, {"pooling_mode_mean_tokens": True}, ("Dense", dense), ("Normalize", {}))
    generator = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(7, 24, generator=generator), torch.randn(7, generator=generator)
    save_file({"linear.weight": weight, "linear.bias": bias}, tmp_path / "2_Dense" / "model.safetensors")
    found = read_sentences(tmp_path)
    assert found is not None
    expected = np.tanh(weight.double().numpy() @ HIDDEN.double().numpy().mean(0) + bias.double().numpy())
    np.testing.assert_allclose(found.vector(HIDDEN).numpy(), expected / np.linalg.norm(expected), rtol=1e-5)
    save_file({"linear.weight": weight[:, 1:].contiguous()}, tmp_path / "2_Dense" / "model.safetensors")
    with pytest.raises(CheckpointError, match="is to take 24 numbers"):
        found.vector(HIDDEN)


@pytest.mark.parametrize(
    ("modules", "error", "said"),
    [
        (
            [{"type": "sentence_transformers.models.WordWeights", "path": ""}],
            NotImplementedByWeightscope,
            "WordWeights",
        ),
        ([{"type": "x.Pooling", "path": "../elsewhere"}], CheckpointError, "outside the model's"),
        ([{"type": "x.Pooling", "path": "/etc"}], CheckpointError, "outside the model's"),
        ([{"type": "x.Pooling", "path": "1_Pooling"}], CheckpointError, "cannot be read"),
        ([1, 2], CheckpointError, "cannot be used"),
        ({"0": "no list"}, CheckpointError, "cannot be used"),
        ([], CheckpointError, "cannot be used"),
        ([{}] * 100, CheckpointError, "cannot be used"),
    ],
)
def test_folders_that_cannot_be_used(modules: Any, error: type[WeightscopeError], said: str, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(error, match=said) as raised:
        read_sentences(tmp_path)
    assert raised.value.code == "config-invalid"


def test_several_prompts_are_compared(run: Run, tmp_path: Path) -> None:
    oracle = encoder(tmp_path, "Model")
    sentence_folder(tmp_path, {"pooling_mode_mean_tokens": True}, ("Normalize", {}))
    texts = {"the cat sat": [1, 5, 6, 7, 2], "cat .": [1, 6, 10, 2], "tax law": [1, 8, 9, 2]}
    vectors = []
    for ids in texts.values():
        with torch.no_grad():
            vectors.append(oracle(torch.tensor([ids])).last_hidden_state[0].mean(0))
    options = [option for text in texts for option in ("--prompt", text)]
    status, out, _ = run("forward", tmp_path, *options, "--format", "json")
    assert status == 0
    shown = json.loads(out)
    assert shown["vectors"] == "mean, length 1"
    for pair in shown["similarities"]:
        a, b = vectors[pair["first"] - 1], vectors[pair["second"] - 1]
        expected = float(a @ b / (a.norm() * b.norm()))
        assert pair["cosine"] == pytest.approx(expected, abs=1e-5)
    assert len(shown["similarities"]) == 3
    status, out, _ = run("forward", tmp_path, *options)
    assert "Cosine 1 · 2" in out
    status, _, error = run("forward", tmp_path, *options, "--save-logits", tmp_path / "x.npy")
    assert (status, "give one --prompt" in error) == (2, True)


def test_tokens_at_masks(run: Run, tmp_path: Path) -> None:
    """However the mask is written, and without a prompt too."""
    oracle = encoder(tmp_path, "ForMaskedLM")
    with torch.no_grad():
        expected = oracle(torch.tensor([[1, 5, 3, 7, 3, 2]])).logits[0].softmax(-1)
    for prompt in ("the <mask> sat [MASK]", "the [MASK] sat <mask>"):
        status, out, _ = run("forward", tmp_path, "--prompt", prompt, "--format", "json")
        shown = json.loads(out)
        assert (status, shown["masks"], shown["predicts"], shown["loss"]) == (0, [2, 4], "same", None)
        for place in shown["masks"]:
            best = shown["top"][place][0]
            assert best["token_id"] == int(expected[place].argmax())
            assert best["probability"] == pytest.approx(float(expected[place].max()), rel=1e-4)
    status, out, _ = run("forward", tmp_path)
    assert status == 0
    assert "Token 6" in out
    assert "Next token" not in out


def test_classes_have_their_names(run: Run, tmp_path: Path) -> None:
    names = {0: "cats", 1: "law", 2: "tax"}
    oracle = encoder(tmp_path, "ForSequenceClassification", id2label=names, label2id={n: i for i, n in names.items()})
    with torch.no_grad():
        expected = oracle(torch.tensor([[1, 8, 9, 2]])).logits[0].softmax(-1)
    status, out, _ = run("forward", tmp_path, "--prompt", "tax law", "--format", "json")
    (row,) = json.loads(out)["classes"]
    assert status == 0
    assert {item["label"]: item["probability"] for item in row} == pytest.approx(
        {names[i]: float(expected[i]) for i in names}, rel=1e-4
    )
    status, out, _ = run("forward", tmp_path, "--prompt", "tax law")
    assert "Classes" in out


@pytest.mark.parametrize("model", ["Model", "ForMaskedLM", "ForSequenceClassification"])
def test_transformers_beside_them(model: str, run: Run, tmp_path: Path) -> None:
    encoder(tmp_path, model)
    status, out, error = run(
        "forward", tmp_path, "--prompt", "the cat", "--compare", "transformers", "--format", "json"
    )
    assert (status, error) == (0, "")
    stages = {item["stage"] for item in json.loads(out)["compared"]}
    assert {"embedding", "layer 0", "layer 2"} <= stages
    assert {"ForMaskedLM": "logits", "ForSequenceClassification": "class scores"}.get(model, "layer 1") in stages


def test_a_golden_file_of_an_encoder(run: Run, tmp_path: Path) -> None:
    encoder(tmp_path, "ForMaskedLM")
    golden = tmp_path / "golden.json"
    assert run("forward", tmp_path, "--prompt", "the [MASK]", "--record", golden)[0] == 0
    assert run("forward", tmp_path, "--expect", golden)[0] == 0
