"""What llama.cpp's converter wrote is the same as transformers' own file, and blocks of it are a quantization."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from fixtures.gguf.make import build, predict_ahead
from fixtures.gguf.models import MODELS

AHEAD = "mtp_num_hidden_layers"
FIXTURES = Path(__file__).parents[2] / "fixtures" / "gguf"
# What GGUF stores of a config in another way: factors instead of settings, or defaults that config.json leaves out.
OTHERWISE = {
    "llama-scaled", "llama-yarn", "phi3-long", "glm", "glm4moe", "gpt-oss", "smollm3", "exaone-moe", "ernie4_5-moe",
    "phimoe", "nemotron_h", "nemotron_h-moe", "qwen3next", "apertus", "nomic-bert",
}  # fmt: skip
# Their A is stored as what it is used for, and its logarithm is not exact.
RECURRENT = {
    "mamba", "mamba2", "jamba", "granitehybrid", "granitehybrid-dense", "bamba", "nemotron_h", "nemotron_h-moe",
    "qwen3next", "qwen35", "qwen35moe", "qwen35-ahead", "qwen35moe-ahead",
}  # fmt: skip


# Its weights are fewer.
CHANGED = {"roberta-classes"}
# Numbers of the config are multiplied into the weights, and gone from the config.
MULTIPLIED = {"falcon-h1"}
# What the converter leaves out or puts into another file.
LEFT_OUT = ("vision.", "projector.", "pooler.")


@pytest.mark.parametrize("name", [name for name in MODELS if name not in CHANGED])
def test_a_converted_model_is_the_same(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, keys, extra = MODELS[name]
        build(kind, keys | {key: value for key, value in extra.items() if key == AHEAD}).save_pretrained(tmp_path)
    if AHEAD in extra:
        predict_ahead(tmp_path)
    found = weightscope.diff(tmp_path, FIXTURES / f"{name}.gguf", values=True)
    kind = "multiplied" if name in MULTIPLIED else "rounded" if name in RECURRENT else "same-weights"
    assert found.verdict.kind == kind
    assert all(address.startswith(LEFT_OUT) for address in found.removed)
    assert not found.reshaped
    assert all(address.startswith("rope_f") for address in found.added)
    if name not in OTHERWISE | MULTIPLIED:
        assert [change.key for change in found.config if change.key != "model_type"] == []


def test_norms_with_1_added_are_off_by_rounding_alone(tmp_path: Path) -> None:
    """As llama.cpp's converter adds it in float32. Norms are F32 and matrices F16 in both: no other dtype to name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, keys, _ = MODELS["gemma"]
        build(kind, keys).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    torch.manual_seed(0)
    norms = {name: torch.rand(weight.shape) for name, weight in tensors.items() if weight.ndim == 1}
    matrices = {name: weight.half() for name, weight in tensors.items() if weight.ndim == 2}
    save_file(matrices | norms, tmp_path / "model.safetensors", {"format": "pt"})
    shutil.copy(FIXTURES / "gemma.gguf", tmp_path / "b.gguf")
    stored = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "b.gguf", "r+").tensors}
    for name, weight in norms.items():
        layer = name.split(".")[2]
        place = f"blk.{layer}.{NAMES[name.split('.')[3]]}" if "layers" in name else ENDS[name.removesuffix(".weight")]
        stored[f"{place}.weight"][:] = (weight + 1).numpy()
    del stored
    found = weightscope.diff(tmp_path / "model.safetensors", tmp_path / "b.gguf", values=True)
    assert (found.verdict.kind, found.retyped) == ("rounded", ())
    assert found.verdict.text == "same weights but for rounding"


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q5_1", "BF16"])
def test_blocks_are_a_quantization(kind: str, times: int, tmp_path: Path) -> None:
    """Blocks of 32 by the gguf library, of rows that are long enough; also multiplied, under a config that differs."""
    keys = dict(MODELS["qwen2"][1]) | {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build("Qwen2", keys).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    stored = {name: tensor * (times if "up_proj" in name else 1) for name, tensor in tensors.items()}
    write(
        tmp_path / "model.gguf", stored, keys | {"max_position_embeddings": 99 * times}, gguf.GGMLQuantizationType[kind]
    )
    found = weightscope.diff(tmp_path / "model.safetensors", tmp_path / "model.gguf", values=True)
    alike = "rounded" if times == 1 else "multiplied"
    assert found.verdict.kind == (alike if kind == "BF16" else "quantization"), found.verdict
    if kind != "BF16":
        assert found.verdict.text.startswith("B is a quantization of A (")


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q4_0"])
def test_blocks_and_what_the_gguf_library_makes_of_them(kind: str, tmp_path: Path) -> None:
    keys = dict(MODELS["qwen2"][1]) | {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build("Qwen2", keys).save_pretrained(tmp_path)
    tensors, type_ = load_file(tmp_path / "model.safetensors"), gguf.GGMLQuantizationType[kind]
    write(tmp_path / "model.gguf", tensors, keys, type_)
    undone = {
        name: torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(t.numpy(), type_), type_))
        if t.ndim == 2
        else t
        for name, t in tensors.items()
    }
    save_file(undone, tmp_path / "model.safetensors", {"format": "pt"})
    found = weightscope.diff(tmp_path / "model.gguf", tmp_path / "model.safetensors", values=True)
    assert found.verdict.kind == "same-weights", found.verdict
    assert f"F32 and {kind}" in found.verdict.text or f"{kind} and F32" in found.verdict.text


def test_two_files_of_blocks(tmp_path: Path) -> None:
    """Of one model in two types of blocks, in one, and with one block changed."""
    keys = dict(MODELS["qwen2"][1]) | {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build("Qwen2", keys).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for kind in ("Q8_0", "Q4_0"):
        write(tmp_path / f"{kind}.gguf", tensors, keys, gguf.GGMLQuantizationType[kind])
    found = weightscope.diff(tmp_path / "Q8_0.gguf", tmp_path / "Q4_0.gguf", values=True)
    assert found.verdict.kind == "quantization"
    assert "two quantizations of like weights (Q8_0 in A, Q4_0 in B; 6.4" in found.verdict.text
    shutil.copy(tmp_path / "Q8_0.gguf", tmp_path / "copy.gguf")
    assert weightscope.diff(tmp_path / "Q8_0.gguf", tmp_path / "copy.gguf", values=True).verdict.kind == "identical"
    stored = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "copy.gguf", "r+").tensors}
    stored["blk.0.ffn_up.weight"][3, 7] ^= 1
    del stored
    found = weightscope.diff(tmp_path / "Q8_0.gguf", tmp_path / "copy.gguf", values=True)
    assert [value.address for value in found.values or () if not value.equal] == ["layers.0.mlp.up_proj"]
    assert found.verdict.text.startswith("quantized alike, fine-tuned or quantized anew: 1 of ")


NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
ENDS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write(path: Path, tensors: dict[str, torch.Tensor], keys: dict[str, int], kind: gguf.GGMLQuantizationType) -> None:
    """A Qwen 2 as llama.cpp names it; its rows are not permuted."""
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(keys["max_position_embeddings"])
    writer.add_embedding_length(keys["hidden_size"])
    writer.add_block_count(keys["num_hidden_layers"])
    writer.add_feed_forward_length(keys["intermediate_size"])
    writer.add_head_count(keys["num_attention_heads"])
    writer.add_head_count_kv(keys["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        stored = ENDS.get(module)
        if stored is None:
            _, _, layer, inner = module.split(".", 3)
            stored = f"blk.{layer}.{NAMES[inner]}"
        values = tensor.numpy().astype(np.float32)
        if values.ndim == 2:
            writer.add_tensor(f"{stored}.{leaf}", gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(f"{stored}.{leaf}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
