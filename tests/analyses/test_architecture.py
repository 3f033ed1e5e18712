"""The drawing of a model: its boxes in the order of the pass, and every weight in exactly one of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import weightscope
from benchmarks.ghost import ghost_tensors, write_shard
from weightscope.analyses.architecture import Part, architecture
from weightscope.api.model import Model
from weightscope.config import read_config
from weightscope.families.declaration import declare

FIXTURES = Path(__file__).parents[2] / "fixtures"
PUBLISHED = [json.loads(file.read_text()) for file in sorted((FIXTURES / "published").glob("*.json"))]
COUNTED = [each for each in PUBLISHED if isinstance(each, dict) and each.get("transformers_parameters")]
SMALL = {"layers": 4, "ffn_dim": 20, "attention_heads": 2, "sparse_step": 2}
GGUF = sorted((FIXTURES / "gguf").glob("*.gguf"))


def drawn(model: Model) -> tuple[Part, ...]:
    assert model.declaration
    return architecture(model.declaration, model.inventory, model.tying, model.checkpoint.tensors)


def boxes(parts: tuple[Part, ...]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from boxes(part.parts)


@pytest.mark.parametrize("published", COUNTED, ids=lambda each: each["model"])
def test_the_boxes_hold_what_transformers_counts(published: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(published["config"]))
    try:
        model = weightscope.open(tmp_path / "config.json")
    except weightscope.WeightscopeError:
        pytest.skip("a part of it is not declared")
    counts = [each.parameters for part in boxes(drawn(model)) for each in part.tensors if not each.group.auxiliary]
    assert sum(counts) == published["transformers_parameters"]
    total = sum(part.parameters or 0 for part in drawn(model))
    assert total == published["transformers_parameters"] + (model.parameters.auxiliary or 0)


@pytest.mark.parametrize("folder", ["llama", "deepseek-v3", "llava", "mixtral", "gpt2", "llama-1"])
def test_every_tensor_is_in_one_box(folder: str) -> None:
    model = weightscope.open(FIXTURES / folder)
    names = Counter(name for part in boxes(drawn(model)) for each in part.tensors for name in each.names)
    assert names == Counter(dict.fromkeys(model.tensors, 1))


@pytest.mark.parametrize("file", GGUF, ids=lambda file: file.stem)
def test_every_tensor_of_a_gguf_file_is_in_one_box(file: Path) -> None:
    model = weightscope.open(file)
    names = Counter(name for part in boxes(drawn(model)) for each in part.tensors for name in each.names)
    tables = {name for name in model.tensors if name.startswith("rope_f")}
    assert names == Counter(dict.fromkeys(model.tensors.keys() - tables, 1))


def test_a_mixture_is_drawn_as_its_paper_has_it() -> None:
    def told(part: Part) -> list[str]:
        return [part.title, *(f"  {line}" for inner in part.parts for line in told(inner))]

    model = weightscope.open(FIXTURES / "deepseek-v3")
    lines = [line for part in drawn(model) for line in told(part)]
    assert lines[:21] == [
        "token_embedding",
        "1 layer",
        "  input_norm",
        "  attention",
        "    q_a_norm",
        "    kv_a_norm",
        "  post_attention_norm",
        "  mlp",
        "2 layers",
        "  input_norm",
        "  attention",
        "    q_a_norm",
        "    kv_a_norm",
        "  post_attention_norm",
        "  moe",
        "    4 experts",
        "      mlp",
        "    mlp",
        "final_norm",
        "lm_head",
        "1 layer",
    ]


@pytest.mark.parametrize(
    ("config", "equation"),
    [
        ("google__gemma-2-9b-it", "x + rms_norm(attention(rms_norm(x))), then x + rms_norm(mlp(rms_norm(x)))"),
        ("CohereForAI__c4ai-command-r-v01", "x + attention(layer_norm(x)) + mlp(layer_norm(x))"),
        ("google-bert__bert-base-uncased", "layer_norm(x + attention(x)), then layer_norm(x + mlp(x))"),
        (
            "google__t5-v1_1-xxl",
            "x + attention(rms_norm(x)), then x + cross-attention(rms_norm(x)), then x + mlp(rms_norm(x))",
        ),
    ],
)
def test_a_block_says_how_its_halves_are_summed(config: str, equation: str, tmp_path: Path) -> None:
    published = json.loads((FIXTURES / "published" / f"{config}.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(published["config"]))
    parts = drawn(weightscope.open(tmp_path / "config.json"))
    assert equation in [part.equation for part in boxes(parts) if part.repeats]


def test_a_tied_head_is_drawn_by_the_table_that_it_uses() -> None:
    model = weightscope.open(FIXTURES / "gguf" / "gemma.gguf")
    assert [(part.title, part.equation, part.tensors) for part in drawn(model)][-1] == ("head", "token_embedding·x", ())


def test_a_part_of_which_nothing_is_stored_is_drawn_where_the_model_needs_it(tmp_path: Path) -> None:
    config = json.loads((FIXTURES / "llama" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    for file in (FIXTURES / "llama").glob("model*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    model = weightscope.open(tmp_path)
    titles = [part.title for part in boxes(drawn(model))]
    assert titles.count("mlp") == 1
    (mlp,) = (part for part in boxes(drawn(model)) if part.title == "mlp")
    assert (list(mlp.layers), [each.tensors for each in mlp.tensors]) == ([0, 1, 2, 3], [3, 3, 3])


def test_an_incomplete_mixture_is_drawn(tmp_path: Path) -> None:
    """NLLB's experts have their number at the end of a word; one tensor is missing, one has another dtype."""
    config = {
        "model_type": "nllb-moe",
        "d_model": 16,
        "vocab_size": 64,
        **{f"{stack}_{key}": n for stack in ("encoder", "decoder") for key, n in SMALL.items()},
        "num_experts": 4,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    declaration = declare(read_config(tmp_path / "config.json"))
    assert declaration
    tensors = {tensor.name: tensor for tensor in ghost_tensors(declaration)}
    prefix = "model.decoder.layers.1.ffn.experts"
    tensors[f"{prefix}.expert_2.fc1.bias"] = tensors[f"{prefix}.expert_2.fc1.bias"]._replace(dtype="F16")
    del tensors[f"{prefix}.expert_3.fc1.weight"]
    write_shard(tmp_path / "model.safetensors", list(tensors.values()))
    model = weightscope.open(tmp_path)
    names = Counter(name for part in boxes(drawn(model)) for each in part.tensors for name in each.names)
    assert names == Counter(dict.fromkeys(tensors, 1))


@pytest.mark.parametrize(
    ("config", "titles"),
    [
        ("google__t5-v1_1-xxl", ["token_embedding", "encoder", "decoder", "head"]),
        ("mistralai__Voxtral-Mini-3B-2507", ["speech tower", "projector", "language model"]),
        ("Qwen__Qwen2-7B", ["token_embedding", "28 layers", "final_norm", "lm_head"]),
    ],
)
def test_the_halves_of_a_model_are_framed(config: str, titles: list[str], tmp_path: Path) -> None:
    published = json.loads((FIXTURES / "published" / f"{config}.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(published["config"]))
    assert [part.title for part in drawn(weightscope.open(tmp_path / "config.json"))] == titles


def test_a_decoder_looks_at_the_encoder_between_its_halves(tmp_path: Path) -> None:
    published = json.loads((FIXTURES / "published" / "google__t5-v1_1-xxl.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(published["config"]))
    decoder = next(part for part in drawn(weightscope.open(tmp_path / "config.json")) if part.title == "decoder")
    order = ["input_norm", "attention", "cross_norm", "attention", "post_attention_norm", "mlp"]
    assert [part.title for part in decoder.parts[0].parts] == order
