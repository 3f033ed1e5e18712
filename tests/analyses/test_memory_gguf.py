"""What `memory --quantize Q4_K_M` says, against llama.cpp's own lists of types and against files that it made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import weightscope
from tests.analyses.configs import opened, published
from weightscope.analyses.memory import as_gguf
from weightscope.analyses.memory.as_gguf import AsFile, typed
from weightscope.analyses.memory.file_types import FILE_TYPES
from weightscope.api.converting import as_file
from weightscope.config import Config
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.families.declaration import declare

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "fixtures" / "llama.cpp"
# What llama.cpp's lists are of; a name is that of a published config.
MODELS: dict[str, str | dict[str, Any]] = {
    "qwen3-0.6b": {
        "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 151936, "tie_word_embeddings": False,
    },
    "qwen3-14b": {
        "model_type": "qwen3", "hidden_size": 5120, "intermediate_size": 17408, "num_hidden_layers": 40,
        "num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 151936, "tie_word_embeddings": False,
    },
    "meta-llama-3.1-70b-instruct": "meta-llama__Llama-3.1-70B",
    "gemma-3-4b-it": {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262144,
    },
    "deepseek-v3.1": "deepseek-ai__DeepSeek-V3-OME",
    "nvidia-nemotron-3-nano-30b-a3b": "nvidia__NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4",
    "gpt-oss-120b": {
        "model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36,
        "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 128,
        "vocab_size": 201088, "tie_word_embeddings": False,
    },
    # The list is of a file without the layer that predicts a further token.
    "qwen3-coder-next": {
        "model_type": "qwen3_next", "hidden_size": 2048, "intermediate_size": 5120, "num_hidden_layers": 48,
        "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256, "linear_num_key_heads": 16,
        "linear_num_value_heads": 32, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "full_attention_interval": 4, "num_experts": 512, "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512, "vocab_size": 151936, "tie_word_embeddings": False,
    },
}  # fmt: skip
# Files made with options that fuse matrices; of one whose two norms have each other's names; with a head of classes.
OTHERWISE = ("llama-fused", "qwen3-fused", "falcon-40b", "roberta-classes")
FILES = [
    path
    for path in sorted((ROOT / "fixtures" / "gguf").glob("*.gguf"))
    if not path.stem.startswith("mmproj") and path.stem not in OTHERWISE
]
# Tables of a rotation's factors are not counted.
FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
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


def laid_out(config: dict[str, Any], *, ahead: bool = False) -> AsFile:
    """As the converter writes it without the quantization, with layers that predict further tokens or without."""
    declaration = declare(Config({key: value for key, value in config.items() if key != "quantization_config"}))
    assert declaration
    file = as_file(declaration)
    slots = tuple(slot for slot in file.declaration.slots if ahead or not slot.auxiliary)
    return replace(file, declaration=replace(file.declaration, slots=slots))


def types_of(config: dict[str, Any], file_type: str) -> dict[str, str]:
    """The element type of each tensor, by llama.cpp's name of it."""
    return {
        name: str(dtype)
        for group in typed(laid_out(config), file_type)
        for dtype, _ in group.counts
        for name in group.every_name
    }


def listed(line: str) -> Iterator[tuple[str, str]]:
    """The matrices of a line such as `blk.{}.attn_v.weight q6_K 0-2 5`, each with its type."""
    name, dtype, *runs = line.split()
    if not runs:
        yield name, dtype
    for run in runs:
        first, _, last = run.partition("-")
        for layer in range(int(first), int(last or first) + 1):
            yield name.format(layer), dtype


@pytest.mark.parametrize("name", MODELS)
def test_each_matrix_has_the_type_that_llama_cpp_lists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists are made without an importance matrix, also those of types that need one."""
    monkeypatch.setattr(as_gguf, "WITH_MATRIX", ())
    said = MODELS[name]
    converted_once = laid_out(published(said) if isinstance(said, str) else said)
    _, *sections = re.split(r"(?m)^(?=\[)", (SCHEMAS / f"{name}.schema").read_text())
    assert {section[1:].partition("]")[0] for section in sections} == set(FILE_TYPES)
    for section in sections:
        title, *lines = section.strip().splitlines()
        file_type, usual = re.fullmatch(r"\[(\w+)\] (\w+)", title).groups()  # type: ignore[union-attr]
        others = dict(pair for line in lines for pair in listed(line))
        found = {
            matrix: str(dtype)
            for group in typed(converted_once, file_type)
            for dtype, _ in group.counts
            for matrix in group.every_name
            if dtype != "F32" or file_type == "F32"
        }
        assert found == {matrix: others.get(matrix, usual).upper() for matrix in found}, file_type
        assert others.keys() <= found.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_the_tensors_are_those_that_the_converter_writes(path: Path) -> None:
    """Name, shape and type of each, in a file of 16 bits."""
    model = weightscope.open(path)
    theirs = {
        name: (entry.dtype, tuple(entry.shape))
        for name, entry in model.checkpoint.tensors.items()
        if name not in FACTORS
    }
    ahead = any("nextn" in name for name in theirs)
    assert model.declaration
    found = {
        name: (dtype, shape)
        for group in typed(laid_out(dict(model.declaration.config.data), ahead=ahead), "F16")
        for dtype, shape in group.counts
        for name in group.every_name
    }
    assert found == theirs


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
    found = types_of(config, "Q4_K_M")
    assert {name: dtype for name, dtype in found.items() if dtype != "F32"} == {
        "token_embd.weight": "F16", "output.weight": "F16", "blk.0.attn_q.weight": "F16",
        "blk.0.attn_k.weight": "F16", "blk.0.attn_v.weight": "F16", "blk.0.attn_output.weight": "Q5_0",
        "blk.0.ffn_gate.weight": "F16", "blk.0.ffn_up.weight": "F16", "blk.0.ffn_down.weight": "Q8_0",
    }  # fmt: skip


def test_types_that_need_an_importance_matrix_are_made_with_one(tmp_path: Path) -> None:
    """IQ3_XXS by the rules: with a matrix, values and down projections have the usual type."""
    config = {
        "model_type": "llama", "vocab_size": 10, "hidden_size": 512, "intermediate_size": 256, "num_hidden_layers": 8,
        "num_attention_heads": 4, "num_key_value_heads": 2,
    }  # fmt: skip
    later = tuple(f"blk.{layer}." for layer in range(1, 8))
    found = {name: dtype for name, dtype in types_of(config, "IQ3_XXS").items() if not name.startswith(later)}
    assert {name: dtype for name, dtype in found.items() if dtype != "F32"} == {
        "token_embd.weight": "IQ3_S", "output.weight": "Q5_K", "blk.0.attn_q.weight": "IQ2_S",
        "blk.0.attn_k.weight": "IQ2_S", "blk.0.attn_v.weight": "IQ3_XXS", "blk.0.attn_output.weight": "IQ3_S",
        "blk.0.ffn_gate.weight": "IQ3_XXS", "blk.0.ffn_up.weight": "IQ3_XXS", "blk.0.ffn_down.weight": "IQ3_XXS",
    }  # fmt: skip
    words = opened(config, tmp_path).memory(context=10, quantize="IQ3_XXS").asked.quantize
    assert words == "IQ3_XXS of llama.cpp, with an importance matrix"


def test_what_sees_keeps_its_type(tmp_path: Path) -> None:
    """Beside the language model, as large as it is alone, lies the vision tower as it is."""
    config = published("Qwen__Qwen3-VL-2B-Instruct")
    seeing = opened(config, tmp_path)
    whole = seeing.memory(context=10, quantize="Q4_K_M")
    senses = [row for row in seeing.memory(context=10).weights.rows if row.component in ("vision", "projector")]
    alone = opened(config["text_config"] | {"tie_word_embeddings": True}, tmp_path).memory(quantize="Q4_K_M")
    assert senses
    assert whole.weights.loaded == alone.weights.loaded + sum(row.loaded for row in senses)
    assert whole.asked.quantize == "Q4_K_M of llama.cpp, without an importance matrix; the encoder keeps its type"


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
    with pytest.raises(UsageError, match="no method 'Q9_K'"):
        llama.memory(quantize="Q9_K")
    with pytest.raises(UsageError, match="Q6_K has no settings"):
        llama.memory(quantize="Q6_K:bits=8")
    with pytest.raises(UsageError, match="quantized weights cannot be trained"):
        opened(REAL["Q4_1"][0], tmp_path).memory(quantize="Q8_0", trainable="full")
    with pytest.raises(UsageError, match="Q4_K_M quantizes nothing of this model"):
        llama.memory(quantize="Q4_K_M")
    with pytest.raises(NotImplementedByWeightscope, match="would quantize dbrx is not known"):
        opened(published("databricks__dbrx-instruct"), tmp_path).memory(quantize="Q4_K_M")
    judge = published("meta-llama__Llama-3.1-70B") | {"architectures": ["LlamaForSequenceClassification"]}
    with pytest.raises(NotImplementedByWeightscope, match=r"quantize score.weight \(classifier\) is not known"):
        opened(judge, tmp_path).memory(quantize="Q4_K_M")
    with pytest.raises(UsageError, match="a GGUF file is not quantized again"):
        weightscope.open(ROOT / "fixtures" / "gguf" / "llama.gguf").memory(quantize="Q4_K_M")
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
