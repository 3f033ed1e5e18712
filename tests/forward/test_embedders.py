"""Decoders and encoder-decoders that are published to make vectors of texts: what sees what, and which are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

import weightscope
from tests.families.tiny import LLAMA
from tests.families.tiny_seq2seq import BART, T5
from tests.forward.seeing import enlivened
from tests.forward.test_sentences import sentence_folder

Run = Callable[..., tuple[int, str, str]]
TEXTS = {"w5 w6 w7 w8 w9 w10 w11": [*range(5, 12), 2], "w6 w10": [6, 10, 2], "w88 w9 w12": [88, 9, 12, 2]}
LAST, MEAN = {"pooling_mode_lasttoken": True}, {"pooling_mode_mean_tokens": True}
TOKENS = [5, 6, 7, 88, 9]
GEMMA = LLAMA | {
    "head_dim": 8, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "use_bidirectional_attention": True,
}  # fmt: skip


def publish(directory: Path, kind: str, model: str, keys: dict[str, Any]) -> Any:
    """A lively tiny model, its tokenizer, which ends each text with token 2; transformers' own model of it."""
    torch.manual_seed(0)
    oracle = enlivened(getattr(transformers, f"{kind}{model}")(getattr(transformers, f"{kind}Config")(**keys)).eval())
    oracle.save_pretrained(directory)
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(101)}, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing("$A w2", special_tokens=[("w2", 2)])
    tokenizer.save(str(directory / "tokenizer.json"))
    return oracle


def cosines(run: Run, directory: Path) -> list[float]:
    """Those that a pass gives of the three pairs."""
    status, out, error = run("forward", directory, *(o for text in TEXTS for o in ("--prompt", text)), "-f", "json")
    assert (status, error) == (0, "")
    return [pair["cosine"] for pair in json.loads(out)["similarities"]]


def expected(vectors: list[torch.Tensor]) -> list[float]:
    unit = [vector / vector.norm() for vector in vectors]
    return [float(unit[0] @ unit[1]), float(unit[0] @ unit[2]), float(unit[1] @ unit[2])]


@pytest.mark.parametrize(
    ("kind", "model", "keys", "pooling"),
    [
        # Qwen3-Embedding and E5-Mistral: what is before, and the last token.
        ("Qwen3", "Model", LLAMA | {"head_dim": 10}, LAST),
        ("Mistral", "Model", LLAMA | {"sliding_window": 3}, LAST),
        # gte-Qwen2: `is_causal: false`.
        ("Qwen2", "Model", LLAMA | {"is_causal": False}, LAST),
        # EmbeddingGemma.
        ("Gemma3Text", "Model", GEMMA, MEAN),
        # sentence-t5 and gtr-t5.
        ("T5", "EncoderModel", T5, MEAN),
        # What an encoder-decoder puts out is its decoder's.
        ("Bart", "Model", BART, MEAN),
    ],
    ids=["qwen3", "mistral", "qwen2", "gemma3_text", "t5", "bart"],
)
def test_vectors(kind: str, model: str, keys: dict[str, Any], pooling: Any, run: Run, tmp_path: Path) -> None:
    oracle = publish(tmp_path, kind, model, keys)
    sentence_folder(tmp_path, pooling, ("Normalize", {}))
    vectors = []
    for ids in TEXTS.values():
        with torch.no_grad():
            hidden = oracle(torch.tensor([ids])).last_hidden_state[0]
        vectors.append(hidden[-1] if pooling is LAST else hidden.mean(0))
    assert cosines(run, tmp_path) == pytest.approx(expected(vectors), abs=1e-5)


@pytest.mark.parametrize(
    ("named", "both"),
    [
        ("modeling_llama_encoder.LlamaEncoderModel", True),
        ("McGill-NLP/x--modeling_llama.LlamaBiModel", True),
        ("modeling_llama.LlamaModel", False),
        (None, False),
        (7, False),
    ],
)
def test_llm2vec_sees_both_ways(named: object, both: bool, tmp_path: Path) -> None:
    """Nothing but the name of its class says so; the oracle is transformers' Llama that is told to."""
    oracle = publish(tmp_path, "Llama", "Model", LLAMA | {"is_causal": not both})
    config = json.loads((tmp_path / "config.json").read_text())
    del config["is_causal"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": named}}))
    with torch.no_grad():
        theirs = oracle(torch.tensor([TOKENS])).last_hidden_state[0]
    found = weightscope.open(tmp_path).forward(TOKENS).output
    assert found is not None
    torch.testing.assert_close(found, theirs, rtol=1e-4, atol=1e-4)


def test_a_head_is_left_out(run: Run, tmp_path: Path) -> None:
    """Qwen3-Embedding's config names a model with a head, which its files do not have."""
    oracle = publish(tmp_path, "Qwen3", "Model", LLAMA | {"head_dim": 10, "tie_word_embeddings": True})
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["Qwen3ForCausalLM"]}))
    sentence_folder(tmp_path, LAST, ("Normalize", {}))
    with torch.no_grad():
        vectors = [oracle(torch.tensor([ids])).last_hidden_state[0, -1] for ids in TEXTS.values()]
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert cosines(run, tmp_path) == pytest.approx(expected(vectors), abs=1e-5)


def test_two_dense_layers(run: Run, tmp_path: Path) -> None:
    """EmbeddingGemma's: neither has a bias or an activation."""
    oracle = publish(tmp_path, "Gemma3Text", "Model", GEMMA)
    dense = {"bias": False, "activation_function": "torch.nn.modules.linear.Identity"}
    sentence_folder(tmp_path, MEAN, ("Dense", dense), ("Dense", dense), ("Normalize", {}))
    generator = torch.Generator().manual_seed(3)
    wide, narrow = torch.randn(31, 24, generator=generator), torch.randn(24, 31, generator=generator)
    save_file({"linear.weight": wide}, tmp_path / "2_Dense" / "model.safetensors")
    save_file({"linear.weight": narrow}, tmp_path / "3_Dense" / "model.safetensors")
    with torch.no_grad():
        means = [oracle(torch.tensor([ids])).last_hidden_state[0].mean(0) for ids in TEXTS.values()]
    assert cosines(run, tmp_path) == pytest.approx(expected([narrow @ (wide @ mean) for mean in means]), abs=1e-5)
