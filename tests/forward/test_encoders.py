"""Encoders against transformers: hidden states, pooled vectors, scores of every head, what each tensor does."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.altered import altered
from tests.families.tiny import Tiny
from tests.families.tiny_encoders import TINY_ENCODERS
from tests.families.tiny_kin import TINY_KIN, TINY_TURNING_ESM
from tests.families.tiny_xlnet import TINY_XLNET
from tests.forward.seeing import enlivened, one_of_each_kind
from weightscope.errors import UsageError

TOKENS = [1, 5, 7, 88, 3, 61, 9]
TYPES = [0, 0, 0, 1, 1, 2, 2]
# Left, top, right, bottom.
BOXES = [[1, 2, 9, 5], [9, 2, 20, 5], [21, 2, 40, 6], [1, 7, 30, 49], [0, 0, 0, 0], [5, 8, 6, 12], [49, 49, 49, 49]]
EVERY = TINY_ENCODERS + TINY_KIN + TINY_TURNING_ESM + TINY_XLNET
every_encoder = pytest.mark.parametrize("tiny", EVERY, ids=lambda tiny: tiny.name)


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, as a share of the expected root mean square."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.square().mean().sqrt())


def lively(tiny: Tiny, directory: Path | None = None) -> Any:
    """A model with weights under which its every part shows, saved to the directory."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{tiny.kind}Config")(**tiny.keys)
    model = enlivened(getattr(transformers, f"{tiny.kind}{tiny.model}")(config).eval())
    if directory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save_pretrained(directory)
    return model


def theirs(tiny: Tiny, oracle: Any, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What transformers' model gives for one sequence: `output`, and `pooled` or the scores of a second head."""
    given = {
        name: value[None, None] if tiny.model == "ForMultipleChoice" else value[None] for name, value in inputs.items()
    }
    with torch.no_grad():
        out = oracle(**given)
    if tiny.model == "Model":
        pooled = {"pooled": out.pooler_output} if getattr(out, "pooler_output", None) is not None else {}
        return {"output": out.last_hidden_state[0]} | pooled
    if tiny.model == "ForPreTraining" and hasattr(out, "prediction_logits"):
        pairs = out.seq_relationship_logits if hasattr(out, "seq_relationship_logits") else out.sop_logits
        return {"output": out.prediction_logits[0], "class scores": pairs}
    if tiny.kind == "Electra" and tiny.model == "ForPreTraining":
        return {"output": out.logits[0, :, None]}
    if tiny.kind == "XLNet" and tiny.model == "ForQuestionAnswering":
        begins = (out.start_top_index[0], out.start_top_log_probs[0])
        rows = [begin.repeat(tiny.keys["end_n_top"]) for begin in begins]
        rows += [out.end_top_index[0], out.end_top_log_probs[0]]
        return {"output": torch.stack(rows, dim=1), "answer class": out.cls_logits[:, None]}
    if tiny.model.startswith("ForQuestionAnswering"):
        return {"output": torch.stack((out.start_logits[0], out.end_logits[0]), dim=-1)}
    return {"output": out.logits.reshape(-1, out.logits.shape[-1])}


def typed(tiny: Tiny) -> dict[str, torch.Tensor]:
    """Types of tokens, for a model that has a table of several, and the boxes of those of a page."""
    boxes = {"bbox": torch.tensor(BOXES)} if tiny.kind == "LayoutLM" else {}
    if tiny.kind == "Longformer" and tiny.model != "ForSequenceClassification":
        boxes = {"global_attention_mask": torch.tensor([0, 1, 0, 0, 0, 0, 1])}
    has_types = tiny.keys.get("type_vocab_size", 0) > 2 or tiny.kind == "XLNet"
    return ({"token_type_ids": torch.tensor(TYPES)} if has_types else {}) | boxes


@every_encoder
def test_outputs(tiny: Tiny, tmp_path: Path) -> None:
    inputs, oracle = typed(tiny), lively(tiny, tmp_path)
    kept: dict[str, torch.Tensor] = {}
    model = weightscope.open(tmp_path)
    result = model.forward(TOKENS, keep=lambda name, x: kept.update({name: x}), **inputs)  # type: ignore[arg-type]
    assert result.output is not None
    for name, expected in theirs(tiny, oracle, {"input_ids": torch.tensor(TOKENS)} | inputs).items():
        assert off(result.output if name == "output" else kept[name], expected) < 1e-4, name
    assert result.has_logits == (
        tiny.model in ("ForMaskedLM", "LMHeadModel", "ForCausalLM")
        or (tiny.model == "ForPreTraining" and tiny.kind != "Electra")
    )


@every_encoder
def test_every_kind_of_tensor_matters(tiny: Tiny, tmp_path: Path) -> None:
    """In the last layer that has it.

    But for biases of keys, which move all scores of a query alike, and what the head does not look at.
    """
    lively(tiny, tmp_path)
    tensors, model = load_file(tmp_path / "model.safetensors"), weightscope.open(tmp_path)

    def outputs(changed: str | None) -> dict[str, torch.Tensor]:
        noise = torch.Generator().manual_seed(1)
        new = {changed: tensors[changed] + torch.randn(tensors[changed].shape, generator=noise)} if changed else {}
        kept: dict[str, torch.Tensor] = {}
        with altered(tmp_path, new):
            model.forward(TOKENS, keep=lambda name, x: kept.update({name: x}), **typed(tiny))  # type: ignore[arg-type]
        last = list(kept)[-2:] if tiny.model == "Model" else list(kept)[-1:]
        scores = ("pooled", "class scores", "logits", "start scores", "end scores", "answer class")
        return {name: x for name, x in kept.items() if name in (*scores, *last)}

    before = outputs(None)
    unmoved = {
        name for name in one_of_each_kind(tensors)
        if all(torch.allclose(x, before[stage], atol=1e-4) for stage, x in outputs(name).items())
    }  # fmt: skip
    unmoved = {name for name in unmoved if not name.endswith(KEY_BIASES)}
    if tiny.kind == "Esm":
        unmoved = {name for name in unmoved if not ("contact_head." in name or name.endswith("inv_freq"))}
    if tiny.kind == "XLNet":
        # Of pretraining alone.
        unmoved = {name for name in unmoved if not name.endswith("mask_emb")}
    assert unmoved <= UNUSED.get(tiny.name, set())


KEY_BIASES = ("key.bias", "k_proj.bias", "k_lin.bias", "attn.k.bias", "pos_key_proj.bias", "key_global.bias")
# Stored and not used: the bias beside a matrix that is not tied and has one of its own.
UNUSED: dict[str, set[str]] = {
    "bert-untied": {"cls.predictions.bias"},
    "roberta-untied": {"lm_head.bias"},
    "albert-untied": {"predictions.bias"},
    "layoutlm-untied": {"cls.predictions.bias"},
    # The first token is global.
    "longformer-SequenceClassification": {
        f"longformer.encoder.layer.2.attention.self.{name}"
        for name in ("query.weight", "query.bias", "key.weight", "value.weight", "value.bias")
    },
    # The first token is none of the global ones.
    "longformer-MultipleChoice": {
        f"longformer.encoder.layer.2.attention.self.{name}"
        for name in (
            "query_global.weight",
            "query_global.bias",
            "key_global.weight",
            "value_global.weight",
            "value_global.bias",
        )
    },
    "longformer-untied": {"lm_head.bias"},
    "mpnet-untied": {"lm_head.bias"},
    "deberta-plain": {"cls.predictions.bias"},
    "deberta-v2-plain": {
        "cls.predictions.bias",
        *(f"deberta.encoder.layer.{i}.attention.self.key_proj.bias" for i in range(3)),
    },
    # The score of a single choice moves by less than 1e-4.
    "xlnet-MultipleChoice": {"transformer.layer.2.rel_attn.seg_embed"},
    "nomic_bert-untied": {"cls.predictions.bias"},
    "jina_embeddings_v3-untied": {"lm_head.bias"},
}


def test_fewer_tokens_than_answers(saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match="3 tokens are fewer than the 4 places"):
        weightscope.open(saved("xlnet-answers")).forward(TOKENS[:3])


def test_tokens_of_no_segment(tmp_path: Path) -> None:
    """Where nobody says which segments there are, XLNet's layers do without their biases."""
    tiny = next(tiny for tiny in TINY_XLNET if tiny.name == "xlnet")
    oracle = lively(tiny, tmp_path)
    model = weightscope.open(tmp_path)
    for tokens in (TOKENS, [7]):
        expected = theirs(tiny, oracle, {"input_ids": torch.tensor(tokens)})["output"]
        assert off(model.forward(tokens).logits, expected) < 1e-4


def test_old_names(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """TensorFlow's names of norms, no prefix, stored position ids: the same model."""
    tensors = load_file(saved("bert-base") / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved("bert-base") / "config.json").read_bytes())
    expected = weightscope.open(saved("bert-base")).forward(TOKENS).output
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    } | {"bert.embeddings.position_ids": torch.arange(37)[None]}
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    found = model.forward(TOKENS).output
    assert found is not None
    assert expected is not None
    assert torch.equal(found, expected)


@pytest.mark.parametrize("head", ["QuestionAnswering", "MultipleChoice"])
def test_a_question_or_a_choice_is_global(head: str, tmp_path: Path) -> None:
    """Longformer's, where nobody says which tokens are: those before the first of three separators, or from it on."""
    tiny = next(tiny for tiny in TINY_KIN if tiny.name == f"longformer-{head}")
    oracle, tokens = lively(tiny, tmp_path), [2, 7, 9, 3, 3, 15, 4, 80, 81, 82, 6, 3]
    model = weightscope.open(tmp_path)
    with pytest.raises(UsageError, match="1 separators"):
        model.forward(TOKENS)
    found = model.forward(tokens).output
    assert found is not None
    assert off(found, theirs(tiny, oracle, {"input_ids": torch.tensor(tokens)})["output"]) < 1e-4


@pytest.mark.parametrize("name", ["nomic_bert", "jina_embeddings_v3"])
def test_names_that_transformers_has_in_memory(name: str, tmp_path: Path) -> None:
    """Its files have those of the models' own code; a state dict that was saved as it is has others."""
    tiny = next(tiny for tiny in TINY_KIN if tiny.name == name)
    oracle = lively(tiny, tmp_path)
    expected = weightscope.open(tmp_path).forward(TOKENS).logits
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "lm_head.decoder.weight",
            "lm_head.decoder.bias"}  # fmt: skip
    state = {name: tensor.contiguous() for name, tensor in oracle.state_dict().items() if name not in tied}
    assert any(".self_attn.q_proj." in name for name in state)
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert torch.allclose(model.forward(TOKENS).logits, expected, atol=1e-5)


def test_published_files_of_masked_models_have_more(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """bert-base-uncased says BertForMaskedLM and stores the pooler and the head of sentence pairs as well."""
    tensors = load_file(saved("bert-pretraining") / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved("bert") / "config.json").read_bytes())
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    extra = sum(t.numel() for n, t in tensors.items() if "pooler" in n or "seq_relationship" in n)
    assert model.parameters.auxiliary == extra
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masked = next(tiny for tiny in TINY_ENCODERS if tiny.name == "bert").build()
    assert model.parameters.total == masked.num_parameters()
    expected = weightscope.open(saved("bert-pretraining")).forward(TOKENS).logits
    assert torch.equal(model.forward(TOKENS).logits, expected)


def test_a_bias_under_both_names_is_one(saved: Callable[[str], Path], tmp_path: Path) -> None:
    tensors = load_file(saved("bert") / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved("bert") / "config.json").read_bytes())
    both = tensors | {"cls.predictions.decoder.bias": tensors["cls.predictions.bias"].clone()}
    save_file(both, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == weightscope.open(saved("bert")).parameters.total


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"token_type_ids": [0, 0, 0, 0, 0, 0, 3]}, "outside the table of 3 types"),
        ({"token_type_ids": [0, 0]}, "for 7 tokens"),
        ({"attention_mask": [1, 1, 1, 1, 1, 1, 0]}, "hides tokens"),
        ({"pixel_values": [[1.0]]}, "does not take images"),
        # A slip of the pen in `adapter` is an input of that name.
        ({"adapters": ["lora"]}, "adapters holds something else than numbers"),
    ],
)
def test_what_does_not_fit_is_said(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("bert")).forward(TOKENS, **inputs)


def test_a_masked_model_has_no_loss(saved: Callable[[str], Path]) -> None:
    result = weightscope.open(saved("bert")).forward(TOKENS)
    assert result.losses() == []
    assert len(result.top(2)) == len(TOKENS)
