"""What `memory --quantize Q4_K_M` says, against llama.cpp's own lists of types and against files that it made."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import pytest

import weightscope
from weightscope.analyses.memory.as_gguf import KNOWN, typed
from weightscope.analyses.memory.file_types import FILE_TYPES
from weightscope.config import Config
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.families.declaration import declare
from weightscope.gguf.opening import declared, described
from weightscope.roles import Role

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "fixtures" / "llama.cpp"
# The model type and the width of a head, which the lists do not say.
MODELS = {
    "qwen3-0.6b": ("qwen3", 128),
    "qwen3-14b": ("qwen3", 128),
    "meta-llama-3.1-70b-instruct": ("llama", 128),
    "gemma-3-4b-it": ("gemma3_text", 256),
}
STEMS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip
# What llama.cpp's rules take a matrix for, by a part of its name; gate and up have the same types in all file types.
CATEGORIES = {
    "token_embd.": "embedding", "attn_qkv.": "values", "attn_v.": "values", "attn_k.": "keys",
    "attn_q.": "queries", "attn_output.": "output", "ffn_up": "up", "ffn_gate": "up", "ffn_down": "down",
    "output.": "head",
}  # fmt: skip
ROLES = {
    Role.V_PROJ: "values", Role.TOKEN_EMBEDDING: "embedding", Role.LM_HEAD: "head", Role.K_PROJ: "keys",
    Role.Q_PROJ: "queries", Role.O_PROJ: "output", Role.UP_PROJ: "up", Role.GATE_PROJ: "up", Role.DOWN_PROJ: "down",
}  # fmt: skip
# What the converter wrote, but for types that are not known and for files made with options that fuse matrices.
UNKNOWN = (
    "apertus", "bert", "distilbert", "eurobert", "flan-t5", "mmproj", "modern-bert", "nomic-bert", "qwen2vl", "qwen3vl",
    "roberta", "t5", "umt5", "gemma-embedding",
    "bamba", "cohere2", "deepseek", "dots1", "ernie4_5-moe", "exaone", "falcon", "gemma3n", "gemma4", "glm4moe",
    "gpt-oss", "gpt2", "granitehybrid", "hunyuan-moe", "jamba", "lfm2", "llama4", "mamba", "minimax", "mistral3",
    "nemotron_h", "olmo3", "phimoe", "qwen35", "qwen3next",
)  # fmt: skip
FILES = [
    path
    for path in sorted((ROOT / "fixtures" / "gguf").glob("*.gguf"))
    if not path.stem.startswith(UNKNOWN) and not path.stem.endswith("-fused")
]
SIZES = {
    "n_embd": "hidden_size", "n_ff": "intermediate_size", "n_vocab": "vocab_size", "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads", "n_head_kv": "num_key_value_heads",
}  # fmt: skip
# Of Gemma 3 270M in Q4_K_M and SmolLM2 135M in Q4_1, as they lie on PyPI: the bytes of all their tensors.
REAL = {
    "Q4_K_M": (
        {
            "model_type": "gemma3_text", "vocab_size": 262144, "hidden_size": 640, "intermediate_size": 2048,
            "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        },
        246_587_904,
    ),
    "Q4_1": (
        {
            "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
            "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
        },
        96_576_768,
    ),
}  # fmt: skip


def opened(config: dict[str, Any], directory: Path) -> weightscope.Model:
    (directory / "config.json").write_text(json.dumps(config))
    return weightscope.open(directory / "config.json")


def published(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "fixtures" / "published" / f"{name}.json").read_text())["config"]
    return found


def types_of(config: dict[str, Any], file_type: str) -> dict[str, str]:
    """The element type of each matrix, by llama.cpp's name of it."""
    declaration = declare(Config(config))
    assert declaration
    found = {}
    for group in typed(declaration, file_type):
        (dtype, _), *_ = group.counts
        for name in group.every_name:
            layer = re.search(r"layers\.(\d+)\.(.+)\.weight", name)
            if layer and layer[2] in STEMS:
                found[f"blk.{layer[1]}.{STEMS[layer[2]]}.weight"] = str(dtype)
            elif name in ("lm_head.weight", "model.embed_tokens.weight"):
                found["output.weight" if name == "lm_head.weight" else "token_embd.weight"] = str(dtype)
            else:
                assert dtype == "F32", name
    return found


@pytest.mark.parametrize("name", MODELS)
def test_each_matrix_has_the_type_that_llama_cpp_lists(name: str) -> None:
    head, *sections = re.split(r"(?m)^(?=\[)", (SCHEMAS / f"{name}.schema").read_text())
    sizes = {SIZES[key]: int(value) for key, value in re.findall(r"(\w+)=(\d+)", head) if key in SIZES}
    model_type, width = MODELS[name]
    tied = "output.weight" not in sections[0]
    config = {"model_type": model_type, "head_dim": width, "tie_word_embeddings": tied, **sizes}
    assert len(sections) == len(FILE_TYPES)
    for section in sections:
        title, *lines = section.strip().splitlines()
        file_type, usual = re.fullmatch(r"\[(\w+)\] (\w+)", title).groups()  # type: ignore[union-attr]
        others = dict(line.split() for line in lines)
        expected = {matrix: others.get(matrix, usual).upper() for matrix in types_of(config, file_type)}
        assert types_of(config, file_type) == expected, file_type
        assert others.keys() <= expected.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_the_matrices_are_those_that_the_converter_writes(path: Path) -> None:
    """Elements by layer, category and length of a row."""
    checkpoint = weightscope.open(path).checkpoint
    theirs: Counter[tuple[int, str, int]] = Counter()
    for name, entry in checkpoint.tensors.items():
        layer = re.match(r"blk\.(\d+)", name)
        category = next((found for part, found in CATEGORIES.items() if part in name), None)
        if len(entry.shape) > 1 and name.endswith(".weight") and "ffn_gate_inp" not in name and "norm" not in name:
            assert category, name
            theirs[int(layer[1]) if layer else 0, category, entry.shape[-1]] += prod(entry.shape)
    metadata = described(checkpoint)
    assert metadata
    config, _ = declared(metadata, checkpoint)
    declaration = declare(Config(dict(config.data)))
    assert declaration
    assert declaration.family.model_type in KNOWN
    ours: Counter[tuple[int, str, int]] = Counter()
    # A matrix whose rows are no whole blocks, as most are in these tiny models, is F16.
    for group in typed(declaration, "Q8_0"):
        (dtype, shape), *_ = group.counts
        category = next((found for role, found in ROLES.items() if role in group.roles), "")
        for _, numbers in group.numbered():
            if dtype != "F32":
                ours[numbers[0] if numbers else 0, category, shape[-1]] += prod(shape)
    assert ours == theirs


@pytest.mark.parametrize("file_type", REAL)
def test_a_model_is_as_large_as_the_real_file(file_type: str, tmp_path: Path) -> None:
    config, expected = REAL[file_type]
    assert opened(config, tmp_path).memory(context=10, quantize=file_type.lower()).weights.loaded == expected


def test_eight_experts_have_attention_of_more_bits(tmp_path: Path) -> None:
    """Mixtral 8x7B in Q4_K_M by hand, from the rules: bytes of 256 weights are 144, 176, 210 and 272."""
    model = opened(published("mistralai__Mixtral-8x7B-v0.1-OME"), tmp_path)
    rows = {(row.component, row.dtype): row.loaded for row in model.memory(context=10, quantize="Q4_K_M").weights.rows}
    one = 8 * 4096 * 14336 // 256
    width = 4096 * 4096 // 256
    assert rows["attention", "Q4_K"] == 32 * width * 144
    assert rows["attention", "Q5_K"] == 32 * width * 176
    assert rows["attention", "Q8_0"] == 32 * 2 * (width // 4) * 272
    # 4 first layers, 4 last ones, and 8 of the 24 between them.
    assert rows["moe", "Q6_K"] == 16 * one * 210
    assert rows["moe", "Q4_K"] == 32 * 2 * one * 144 + 16 * one * 144
    assert rows["moe", "F32"] == 32 * 8 * 4096 * 4
    assert rows["head", "Q6_K"] == 32000 * 4096 // 256 * 210


def test_rows_of_no_whole_block_are_sixteen_bits(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "vocab_size": 10, "hidden_size": 24, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "head_dim": 16,
    }  # fmt: skip
    assert types_of(config, "Q4_K_M") == {
        "token_embd.weight": "F16", "output.weight": "F16", "blk.0.attn_q.weight": "F16",
        "blk.0.attn_k.weight": "F16", "blk.0.attn_v.weight": "F16", "blk.0.attn_output.weight": "Q5_0",
        "blk.0.ffn_gate.weight": "F16", "blk.0.ffn_up.weight": "F16", "blk.0.ffn_down.weight": "Q8_0",
    }  # fmt: skip


def test_states_are_those_that_llama_cpp_keeps(tmp_path: Path) -> None:
    """As of a GGUF file: keys and values in float16 whatever the config says, and buffers of llama.cpp's own."""
    memory = opened(REAL["Q4_K_M"][0], tmp_path).memory(context=10, quantize="Q4_K_M")
    assert memory.state
    assert {row.dtype for row in memory.state.rows} == {"F16"}
    assert "Activations are not estimated: llama.cpp plans its buffers itself." in memory.notes


def test_the_command_says_whose_rules_they_are(run: Any, tmp_path: Path) -> None:
    opened(REAL["Q4_K_M"][0], tmp_path)
    status, out, error = run("memory", tmp_path / "config.json", "--quantize", "q4_k_m")
    assert status == 0, error
    assert "Q4_K_M of llama.cpp, without an importance matrix" in out


def test_what_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    llama = weightscope.open(ROOT / "fixtures" / "llama")
    with pytest.raises(UsageError, match="no method 'IQ1_S'"):
        llama.memory(quantize="IQ1_S")
    with pytest.raises(UsageError, match="Q6_K has no settings"):
        llama.memory(quantize="Q6_K:bits=8")
    with pytest.raises(UsageError, match="quantized weights cannot be trained"):
        opened(REAL["Q4_1"][0], tmp_path).memory(quantize="Q8_0", trainable="full")
    with pytest.raises(UsageError, match="Q4_K_M quantizes nothing of this model"):
        llama.memory(quantize="Q4_K_M")
    with pytest.raises(NotImplementedByWeightscope, match="would quantize gpt2 is not known"):
        weightscope.open(ROOT / "fixtures" / "gpt2").memory(quantize="Q4_K_M")
    judge = published("meta-llama__Llama-3.1-70B") | {"architectures": ["LlamaForSequenceClassification"]}
    with pytest.raises(NotImplementedByWeightscope, match=r"quantize score.weight \(classifier\) is not known"):
        opened(judge, tmp_path).memory(quantize="Q4_K_M")
    with pytest.raises(UsageError, match="quantized already"):
        weightscope.open(ROOT / "fixtures" / "deepseek-v3").memory(quantize="Q4_K_M")


@pytest.mark.parametrize(
    "keys",
    [
        {"num_hidden_layers": 0},
        {"num_key_value_heads": 0},
        {"num_attention_heads": 0},
        {"hidden_size": 0},
        {"vocab_size": 0},
        {"intermediate_size": 0},
        {"head_dim": 0},
    ],
    ids=str,
)
def test_strange_configs_are_answered_or_refused(keys: dict[str, Any], tmp_path: Path) -> None:
    """Whatever a config says, there is an answer or one line."""
    config = REAL["Q4_K_M"][0] | {"model_type": "mistral"} | keys
    with suppress(weightscope.WeightscopeError):
        model = opened(config, tmp_path)
        assert model.memory(context=10, quantize="Q4_K_M").weights.loaded >= 0
