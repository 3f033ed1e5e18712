"""What `memory` says of weights, states and devices, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.analyses.configs import config_of
from tests.families.test_published import MODELS, expand
from tests.families.tiny import TINY
from weightscope.analyses.memory.devices import device
from weightscope.analyses.memory.report import Memory
from weightscope.errors import UsageError

ROOT = Path(__file__).parents[2]
BY_NAME = {model["model"]: model for model in MODELS}
INDEXED = [model for model in MODELS if model["index"] and (model["index"]["metadata"] or {}).get("total_size")]
# Real indexes whose size is not that of the weights as they are loaded, with the bytes that they have more.
MORE = {
    "FlagAlpha/Atom-7B": (4096, "32 rotary tables of 64 elements are in float32, the weights in float16"),
    "wangyantong/internlm-chat-7b-ft": (4096, "32 rotary tables of 64 elements are in float32, the weights in float16"),
    "openpangu/Embedded-7B": (4352, "34 rotary tables of 64 elements are in float32, the weights in bfloat16"),
    "tiiuae/falcon-180B-chat": (65024 * 14848 * 2, "the head is tied and stored too"),
    "tiiuae/falcon-40b": (65024 * 8192 * 2, "the head is tied and stored too"),
    "nvidia/LocateAnything-3B-ft": (152681 * 2048 * 2, "the head is tied and stored too"),
    "thanhtantran/MiniCPM-V-2_6-llm": (972823008, "the index of the whole model under its language model's config"),
    "reubzdubz/Molmo-7B-D-NF4": (28 * (81 + 81 + 82 + 82), "a text with NF4's settings beside each matrix"),
}
LOOKING = "Activations are not estimated: layers that look at what an encoder makes were not measured."
NOT_DECLARED = {"Qwen/Qwen-VL-Chat-Int4": "Qwen's type with a vision encoder of its own"}


def of_config(name: str, directory: Path, **asked: Any) -> Memory:
    (directory / "config.json").write_text(json.dumps(BY_NAME[name]["config"]))
    return weightscope.open(directory / "config.json").memory(**asked)


@pytest.mark.parametrize("model", INDEXED, ids=lambda model: str(model["model"]))
def test_weights_are_as_large_as_a_real_index_says(model: dict[str, Any], tmp_path: Path) -> None:
    if model["model"] in NOT_DECLARED:
        pytest.skip(NOT_DECLARED[model["model"]])
    names = dict.fromkeys(expand(model["index"]["names"]), "model-00001-of-00001.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(model["config"]))
    index = tmp_path / model["index"]["file"]
    index.write_text(json.dumps({"metadata": model["index"]["metadata"], "weight_map": names}))
    memory = weightscope.open(index).memory(context=100)
    weights, more = memory.weights, MORE.get(model["model"], (0, ""))[0]
    assert any(f"{more:,} bytes more" in note for note in memory.notes) is bool(more)
    assert weights.stored == model["index"]["metadata"]["total_size"] == weights.loaded + weights.auxiliary + more
    assert weights.loaded == sum(row.loaded for row in weights.rows if not row.auxiliary)


# Keys and values of a token by hand, in bytes, from the config alone.
PER_TOKEN = {
    "meta-llama/Llama-3.1-70B": 80 * 8 * (128 + 128) * 2,
    "deepseek-ai/DeepSeek-V3.2": 61 * (512 + 64 + 128) * 2,
    "Qwen/Qwen3.5-27B": 16 * 4 * (256 + 256) * 2,
    "Qwen/Qwen3-30B-A3B": 48 * 4 * (128 + 128) * 2,
    "google/gemma-2-9b-it": 21 * 8 * (256 + 256) * 2,
}
# 48 layers: 48 value heads of 128 by keys of 128 in float32, and 4 columns of (16 + 16 + 48) heads of 128.
FIXED = {
    "Qwen/Qwen3.5-27B": 48 * (48 * 128 * 128 * 4 + 4 * (16 + 16 + 48) * 128 * 2),
    "google/gemma-2-9b-it": 21 * 4095 * 8 * (256 + 256) * 2,
}


@pytest.mark.parametrize("name", PER_TOKEN)
def test_the_state_of_published_models_by_hand(name: str, tmp_path: Path) -> None:
    state = of_config(name, tmp_path, context=32768, batch=3).state
    assert state
    assert (state.total.per_token, state.total.fixed) == (PER_TOKEN[name], FIXED.get(name, 0))
    assert state.total.logical == 3 * (32768 * PER_TOKEN[name] + FIXED.get(name, 0))


def test_the_figures_of_the_readme(tmp_path: Path) -> None:
    from weightscope.output.words import size

    rows = re.findall(
        r"^\| (\S+/\S+) \| ([\d.]+ [GT]B) \| ([\d.]+ GB): ([\d,]+) B per token(?: \+ (\d+ MB) fixed)? \|$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) == 3
    for name, weights, state, per_token, fixed in rows:
        assert int(per_token.replace(",", "")) == PER_TOKEN[name]
        assert fixed == (size(FIXED[name]) if name in FIXED else "")
        assert state == size(32768 * PER_TOKEN[name] + FIXED.get(name, 0))
        assert weights == size(of_config(name, tmp_path, context=32768).weights.loaded)


def test_weights_in_another_type_are_those_that_torch_would_hold(saved: Callable[[str], Path]) -> None:
    """Every parameter and buffer of the loaded model, each storage once."""
    for name in ("llama-tied", "deepseek_v3", "mamba2", "llava"):
        kind = transformers.LlavaForConditionalGeneration if name == "llava" else transformers.AutoModelForCausalLM
        model = kind.from_pretrained(saved(name), dtype=torch.float16)
        held = {t.data_ptr(): t.numel() * t.element_size() for t in model.state_dict().values()}
        found = weightscope.open(saved(name)).memory(context=8, dtype="float16").weights
        assert found.loaded == sum(held.values()), name


def test_an_undeclared_type_has_weights_and_no_state() -> None:
    found = weightscope.open(ROOT / "fixtures" / "mini").memory()
    assert (found.weights.loaded, found.state, found.total) == (11776 * 4, None, None)
    assert found.notes == ("The decode state is not known: no family declares this model type.",)


def test_an_index_alone_of_an_undeclared_type_has_the_weights_that_it_names(tmp_path: Path) -> None:
    """16.1 GB of a language model with a vision encoder of its own; without a total nothing tells."""
    index = tmp_path / "model.safetensors.index.json"
    names = {"a.weight": "model-00001-of-00001.safetensors"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "undeclared"}))
    index.write_text(json.dumps({"metadata": {"total_size": 16_103_047_168}, "weight_map": names}))
    assert weightscope.open(index).memory().weights.loaded == 16_103_047_168
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    with pytest.raises(weightscope.WeightscopeError, match="the index has no total_size"):
        weightscope.open(index).memory()


def test_what_keeps_no_state_has_no_table_of_contexts(run: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BY_NAME["google-bert/bert-base-uncased"]["config"]))
    status, out, _ = run("memory", tmp_path / "config.json", "--gpu", "t4")
    assert status == 0
    assert "At most" not in out
    assert "Batch" not in out


def test_an_adapter_counts_beside_its_base() -> None:
    adapters = ROOT / "fixtures" / "adapters"
    base = weightscope.open(adapters / "bases" / "llama").memory(context=10)
    alone = weightscope.open(adapters / "peft" / "lora").memory(context=10)
    joined = weightscope.open(adapters / "peft" / "lora", base=adapters / "bases" / "llama").memory(context=10)
    assert joined.weights.loaded == base.weights.loaded + alone.weights.loaded
    assert (joined.state, alone.state) == (base.state, None)
    assert "--base names its model" in alone.notes[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("llava", ("Images and audio are tokens of the context, and --context counts them too.",
                   "Activations and work are without those of the vision encoder.")),
        ("t5", (LOOKING, "Activations and work are without those of the encoder.")),
        ("whisper", (LOOKING, "Activations and work are without those of the audio encoder.")),
        ("llama", ()),
    ],
)  # fmt: skip
def test_what_an_encoder_needs_is_said_to_be_left_out(name: str, said: tuple[str, ...], tmp_path: Path) -> None:
    path = config_of(next(tiny for tiny in TINY if tiny.name == name).build(), tmp_path)
    notes = weightscope.open(path).memory(context=10).notes
    assert tuple(note for note in notes if "encoder" in note or "Images" in note) == said


def test_more_tokens_than_the_model_was_trained_on_are_said_and_computed() -> None:
    found = weightscope.open(ROOT / "fixtures" / "llama").memory(context=4096)
    assert found.asked.trained_context == 2048
    assert found.notes == ("4,096 tokens are more than the 2,048 that config.json names.",)
    assert found.state
    assert found.state.total.logical == 4096 * 96


def test_a_method_that_is_not_implemented_is_said(tmp_path: Path) -> None:
    config = BY_NAME["Qwen/Qwen2-7B"]["config"] | {"quantization_config": {"quant_method": "exl3", "bits": 4.0}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    notes = weightscope.open(tmp_path / "config.json").memory().notes
    assert "Quantization 'exl3' is not implemented: weights are counted as before quantization." in notes


@pytest.mark.parametrize(
    ("model", "asked", "source"),
    [
        ("llama", {}, "max_position_embeddings"),
        ("llama", {"context": 2048}, "asked"),
        ("gguf/llama.gguf", {}, "llama.context_length"),
        ("mini", {}, "usual"),
    ],
)
def test_where_the_context_comes_from_is_said(model: str, asked: dict[str, Any], source: str) -> None:
    assert weightscope.open(ROOT / "fixtures" / model).memory(**asked).asked.context_source == source


def test_weights_that_the_config_does_not_describe_are_said(tmp_path: Path) -> None:
    """As after pruning: the bytes are those that are stored, all else is what the config describes."""
    source = ROOT / "fixtures" / "llama"
    tensors = {name: tensor for file in source.glob("*.safetensors") for name, tensor in load_file(file).items()}
    whole = weightscope.open(source).memory()
    name = "model.layers.1.mlp.up_proj.weight"
    tensors[name] = tensors[name][:40].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    pruned = weightscope.open(tmp_path).memory()
    assert not whole.notes
    assert pruned.notes[0].startswith("The weights are not those that config.json describes")
    assert pruned.weights.loaded < whole.weights.loaded
    assert whole.work
    assert pruned.work
    assert pruned.work.decode == whole.work.decode


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"context": 0}, "context is 0"),
        ({"batch": -1}, "batch is -1"),
        ({"context": 10**13}, "context is 10,000,000,000,000"),
        ({"page_size": 0}, "page_size is 0"),
        ({"source_tokens": -1}, "source_tokens is -1"),
        ({"dtype": "int3"}, "dtype has no type 'int3'"),
        ({"kv_dtype": "bool"}, "kv_dtype has no type 'bool'"),
    ],
)
def test_numbers_and_types_that_are_none_are_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(ROOT / "fixtures" / "llama").memory(**asked)


# Of Llama-3.1-70B's 80 layers: what every rank has whole, and what ranks divide.
NORMS = (2 * 80 + 1) * 8192 * 2
KEYS = 80 * 2 * 1024 * 8192 * 2
ALL = 70553706496 * 2
LAYER = (2 * 8192 * 8192 + 2 * 1024 * 8192 + 3 * 28672 * 8192 + 2 * 8192) * 2
TABLE = 128256 * 8192 * 2


def fit_of(name: str, directory: Path, **asked: Any) -> Any:
    found = of_config(name, directory, **asked)
    assert found.fit
    return found.fit


def test_matrices_are_divided_among_ranks_and_norms_are_not(tmp_path: Path) -> None:
    found = fit_of("meta-llama/Llama-3.1-70B", tmp_path, context=32768, batch=8, gpu="h100", gpus=4)
    (held,) = found.stages
    assert held.weights == NORMS + (ALL - NORMS) // 4
    assert held.state == 8 * 32768 * 80 * (8 // 4) * 256 * 2
    assert (found.needed, found.fits) == (held.weights + held.state, True)


def test_more_ranks_than_key_heads_keep_each_head_several_times(tmp_path: Path) -> None:
    found = fit_of("meta-llama/Llama-3.1-70B", tmp_path, context=32768, gpu="h100", gpus=16)
    (held,) = found.stages
    assert held.weights == NORMS + KEYS // 8 + (ALL - NORMS - KEYS) // 16
    assert held.state == 32768 * 80 * 1 * 256 * 2
    assert found.notes == ("keys and values of 8 heads: 2 ranks keep the same",)


def test_heads_that_ranks_do_not_divide_are_a_finding(tmp_path: Path) -> None:
    found = of_config("meta-llama/Llama-3.1-70B", tmp_path, context=100, gpu="h200", gpus=3)
    assert [(f.code, f.message) for f in found.findings] == [
        ("does-not-fit", "keys and values of 8 heads cannot be divided by 3 tensor ranks")
    ]
    assert found.fit
    assert not found.fit.fits


@pytest.mark.parametrize(
    ("name", "ranks", "said"),
    [
        # Two key heads are repeated, but 14 heads of queries are not.
        ("Qwen/Qwen2.5-0.5B", 4, ["14 attention heads"]),
        # 151,936 rows are a multiple of 64, but not of 14.
        ("Qwen/Qwen2.5-0.5B", 14, ["the 151,936 rows of the padded vocabulary", "the 4,864 elements within an MLP"]),
        ("Qwen/Qwen3.5-27B", 16, ["24 attention heads"]),
        # A recurrence's heads are not repeated.
        ("Qwen/Qwen3.5-27B", 96, ["recurrence of 48 heads"]),
        ("Qwen/Qwen3-30B-A3B", 8, []),
        ("Qwen/Qwen3-30B-A3B", 32, []),
    ],
)
def test_what_vllm_refuses_to_divide_is_a_finding(name: str, ranks: int, said: list[str], tmp_path: Path) -> None:
    found = of_config(name, tmp_path, context=100, gpu="h200", gpus=ranks)
    assert [f.message for f in found.findings] == [f"{what} cannot be divided by {ranks} tensor ranks" for what in said]
    assert found.fit
    assert found.fit.fits is not bool(said)


def test_stages_have_layers_and_what_stands_before_and_after_them(tmp_path: Path) -> None:
    found = fit_of("meta-llama/Llama-3.1-70B", tmp_path, context=1024, gpu="h100", gpus=6, pipeline_parallel=6)
    # 80 layers in 6 stages: two have one more, those before the last.
    layers = [13, 13, 13, 14, 14, 13]
    expected = [count * LAYER for count in layers]
    expected[0] += TABLE
    expected[-1] += TABLE + 8192 * 2
    assert [held.weights for held in found.stages] == expected
    assert [held.state for held in found.stages] == [1024 * count * 8 * 256 * 2 for count in layers]


def test_experts_are_divided_whole(tmp_path: Path) -> None:
    """Qwen3-30B-A3B: 128 experts of 48 layers; 8 groups of ranks have 16 each, or each rank an eighth of every one."""
    whole = 48 * 128 * 3 * 768 * 2048 * 2
    apart, together = (
        fit_of("Qwen/Qwen3-30B-A3B", tmp_path, context=100, gpu="24GiB", gpus=8, expert_parallel=groups).stages[0]
        for groups in (8, 1)
    )
    assert apart.weights == together.weights
    odd = fit_of("Qwen/Qwen3-30B-A3B", tmp_path, context=100, gpu="24GiB", gpus=3, expert_parallel=3).stages[0]
    three = fit_of("Qwen/Qwen3-30B-A3B", tmp_path, context=100, gpu="24GiB", gpus=3).stages[0]
    # 43 of 128 experts on the fullest rank.
    divided = fit_of("Qwen/Qwen3-30B-A3B", tmp_path, context=100, gpu="24GiB", gpus=3, expert_parallel=3)
    assert "128 experts among 3 groups of ranks: the fullest has 43" in divided.notes
    assert odd.weights - three.weights == round(whole * (43 / 128 - 1 / 3))


@pytest.mark.parametrize(
    ("said", "name"),
    [("RTX 4090", "rtx4090"), ("H100", "h100-80g"), ("a100_40g", "a100-40g"), ("A6000", "rtx-a6000")],
)
def test_a_device_has_several_spellings(said: str, name: str) -> None:
    assert device(said).name == name


def test_experts_that_are_not_there_are_not_divided() -> None:
    found = weightscope.open(ROOT / "fixtures" / "llama").memory(context=100, gpu="1MB", gpus=2, expert_parallel=2).fit
    assert found
    assert found.notes == ("the model has no experts for 2 groups of ranks to divide",)


def test_the_largest_that_fits_does_and_one_more_does_not(tmp_path: Path) -> None:
    name, division = "google/gemma-2-9b-it", {"gpu": "24GiB", "gpus": 2, "tensor_parallel": 1}
    found = fit_of(name, tmp_path, context=8192, batch=4, **division)
    assert found.ranks.replicas == 2
    for change, most in (("context", found.largest_context), ("batch", found.largest_batch)):
        asked = {"context": 8192, "batch": 4} | division
        assert fit_of(name, tmp_path, **asked | {change: most}).fits
        assert not fit_of(name, tmp_path, **asked | {change: most + 1}).fits


def test_a_state_of_one_size_has_no_longest_context(tmp_path: Path) -> None:
    transformers.MambaConfig(hidden_size=64, num_hidden_layers=2, vocab_size=64).save_pretrained(tmp_path)
    found = weightscope.open(tmp_path / "config.json").memory(context=100, gpu="1GB").fit
    assert found
    assert found.largest_context is None


def test_the_exit_code_says_whether_it_fits(run: Any) -> None:
    fits, too_small = ("memory", "fixtures/llama", "--gpu", "1MB"), ("memory", "fixtures/llama", "--gpu", "60kB")
    assert run(*fits)[0] == 0
    assert run(*too_small)[0] == 1
    assert run(*too_small, "--fail-on", "info")[0] == 1


def unquantized(name: str, directory: Path) -> Path:
    """A published model's config as it would be without its quantization."""
    said = ("quantization_config", "quantization")
    config = {key: value for key, value in BY_NAME[name]["config"].items() if key not in said}
    (directory / "config.json").write_text(json.dumps(config))
    return directory / "config.json"


def test_quantized_weights_are_as_large_as_a_real_index_of_them_says(tmp_path: Path) -> None:
    name = "mlx-community/Qwen3-14B-4bit"
    found = weightscope.open(unquantized(name, tmp_path)).memory(context=100, quantize="mlx")
    assert found.weights.loaded == BY_NAME[name]["index"]["metadata"]["total_size"]
    assert found.asked.quantize == "MLX, 4 bits in groups of 64"


# A matrix of Llama-3.1-70B's q_proj, 8,192 by 8,192, as each method stores it, in bytes.
MATRIX = {
    # Packed in 32-bit integers; scales of 2 bytes and packed zero points for each group of 128.
    "awq": 8192 * 8192 // 2 + 8192 * 64 * 2 + 8192 * 64 // 2,
    "gptq": 8192 * 8192 // 2 + 8192 * 64 * 2 + 8192 * 64 // 2,
    "gptq:bits=8,group_size=32": 8192 * 8192 + 8192 * 256 * 2 + 8192 * 256,
    # Scales and biases of 2 bytes for each group of 64.
    "mlx": 8192 * 8192 // 2 + 8192 * 128 * 4,
    # A scale for each block of 128 by 128.
    "fp8": 8192 * 8192 + 64 * 64 * 2,
    # A scale of one byte for each 16, one float32 for the matrix and one for its inputs.
    "modelopt": 8192 * 8192 // 2 + 8192 * 512 + 8,
    "auto-round": 8192 * 8192 // 2 + 8192 * 64 * 2 + 8192 * 64 // 2,
    # A scale and a zero point of 2 bytes for each group of 64.
    "hqq": 8192 * 8192 // 2 + 8192 * 128 * 4,
    "mxfp8": 8192 * 8192 + 8192 * 256,
    # Scales of rows are more for q_proj alone: half of them for each of the two matrices.
    **dict.fromkeys(("bitsandbytes-8bit", "fbgemm-fp8"), 8192 * 8192 + 8192 * 4 // 2),
    **dict.fromkeys(("fp8-dynamic", "w8a8", "torchao", "quanto"), 8192 * 8192 + 8192 * 2 // 2),
    "w4a16": 8192 * 8192 // 2 + 8192 * 64 * 2,
    "w4a16-asym": 8192 * 8192 // 2 + 8192 * 64 * 2 + 8192 * 64 // 2,
    "w8a16": 8192 * 8192 + 8192 * 64 * 2,
    "nvfp4": 8192 * 8192 // 2 + 8192 * 512,
    "nvfp4a16": 8192 * 8192 // 2 + 8192 * 512,
    "mxfp4a16": 8192 * 8192 // 2 + 8192 * 256,
}


@pytest.mark.parametrize("method", MATRIX)
def test_larger_matrices_take_as_much_more_as_by_hand(method: str, tmp_path: Path) -> None:
    """Two configs that differ in the number of query heads: what one head of 8,192 elements adds, by hand."""
    config = BY_NAME["meta-llama/Llama-3.1-70B"]["config"] | {"num_hidden_layers": 1, "num_key_value_heads": 64}
    sizes = []
    for heads in (64, 128):
        (tmp_path / "config.json").write_text(json.dumps(config | {"num_attention_heads": heads, "head_dim": 128}))
        sizes.append(weightscope.open(tmp_path / "config.json").memory(context=1, quantize=method).weights.loaded)
    # q_proj has as many rows more as o_proj has columns: two matrices of 8,192 by 8,192.
    more = sizes[1] - sizes[0]
    expected = 2 * MATRIX[method]
    # ModelOpt's two numbers are there however large the matrices are.
    expected -= 16 if method == "modelopt" else 0
    assert more == expected


@pytest.mark.parametrize(
    ("quantize", "said"),
    [
        ("nothing", "has no method 'nothing'"),
        ("gptq:bits=x", "bits is 'x', not a number"),
        ("gptq:depth=3", "'depth=3' is no setting of it; it has bits, group_size, desc_act, sym"),
        ("gptq:quant_method=awq", "'quant_method=awq' is no setting"),
        ("w4a16:bits=8", "w4a16 has no settings"),
        ("awq:zero_point=maybe", "'maybe', not true or false"),
        ("mxfp4", "mxfp4 quantizes nothing of this model"),
        ("gptq:bits=5", "bits"),
    ],
)
def test_quantization_that_makes_no_sense_is_refused(quantize: str, said: str) -> None:
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(ROOT / "fixtures" / "llama").memory(quantize=quantize)


def test_what_is_quantized_already_is_refused() -> None:
    with pytest.raises(UsageError, match="quantized already"):
        weightscope.open(ROOT / "fixtures" / "deepseek-v3").memory(quantize="awq")


@pytest.mark.parametrize(
    "keys",
    [
        {"num_key_value_heads": 0},
        {"num_hidden_layers": 0},
        {"hidden_size": 0},
        {"vocab_size": 0},
        {"head_dim": 1, "num_attention_heads": 2**40},
        {"max_position_embeddings": 0},
        {"max_position_embeddings": "long"},
        {"sliding_window": 1},
        {"sliding_window": 0},
    ],
    ids=str,
)
def test_strange_configs_are_answered_or_refused(keys: dict[str, Any], tmp_path: Path) -> None:
    """Whatever a config says, each question has an answer or one line."""
    config = json.loads((ROOT / "fixtures" / "llama" / "config.json").read_text()) | {"model_type": "mistral"} | keys
    (tmp_path / "config.json").write_text(json.dumps(config))
    questions: list[dict[str, Any]] = [
        {},
        {"context": 50, "gpu": "1GB", "gpus": 4},
        {"context": 5, "trainable": "full"},
        {"context": 5, "quantize": "awq"},
    ]
    for asked in questions:
        with suppress(weightscope.WeightscopeError):
            assert weightscope.open(tmp_path / "config.json").memory(**asked).weights.loaded >= 0
