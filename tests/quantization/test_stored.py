"""Config and files together: methods that are only named, left-over configs, quantized weights without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from weightscope.errors import WeightscopeError
from weightscope.quantization.registry import methods

TOKENS = [7, 3, 99, 0, 42]
Pack = Callable[[int, int], dict[str, torch.Tensor]]


def ones(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.ones(shape).to(dtype) if dtype.is_floating_point else torch.ones(shape, dtype=dtype)


I32, U8, I8, F16, F32 = torch.int32, torch.uint8, torch.int8, torch.float16, torch.float32
FP8, BF16 = torch.float8_e4m3fn, torch.bfloat16

# What each library stores for a Linear of rows × columns, by its own documentation: what follows the module's name.
METHODS: dict[str, tuple[dict[str, Any], Pack]] = {
    "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 8}, lambda rows, columns: {
        ".qweight": ones(I32, -(-columns // 8), rows), ".qzeros": ones(I32, -(-columns // 8), -(-rows // 8)),
        ".scales": ones(F16, -(-columns // 8), rows), ".g_idx": ones(I32, columns), ".bias": torch.zeros(rows),
    }),
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 8}, lambda rows, columns: {
        ".qweight": ones(I32, columns, rows // 8), ".qzeros": ones(I32, columns // 8, rows // 8),
        ".scales": ones(F16, columns // 8, rows),
    }),
    "bitsandbytes int8": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, lambda rows, columns: {
        ".weight": ones(I8, rows, columns), ".SCB": ones(F32, rows), ".weight_format": torch.tensor(0, dtype=U8),
    }),
    "bitsandbytes nf4": ({"quant_method": "bitsandbytes", "load_in_4bit": True}, lambda rows, columns: {
        ".weight": ones(U8, -(-rows * columns // 2), 1), ".weight.absmax": ones(U8, -(-rows * columns // 64)),
        ".weight.quant_map": ones(F32, 16), ".weight.nested_absmax": ones(F32, 1),
        ".weight.nested_quant_map": ones(F32, 256), ".weight.quant_state.bitsandbytes__nf4": ones(U8, 90),
    }),
    "compressed-tensors": ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, lambda rows, columns: {
        ".weight_packed": ones(I32, rows, -(-columns // 8)), ".weight_scale": ones(F16, rows, 1),
        ".weight_shape": torch.tensor([rows, columns]),
    }),
    "compressed-tensors fp8": ({"quant_method": "compressed-tensors", "format": "float-quantized"}, lambda rows, c: {
        ".weight": ones(FP8, rows, c), ".weight_scale": ones(F16, rows, 1), ".input_scale": ones(F32, 1),
    }),
    "fbgemm_fp8": ({"quant_method": "fbgemm_fp8"}, lambda rows, columns: {
        ".weight": ones(FP8, rows, columns), ".weight_scale": ones(F32, rows, 1),
    }),
    "modelopt": ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, lambda rows, columns: {
        ".weight": ones(U8, rows, -(-columns // 2)), ".weight_scale": ones(FP8, rows, -(-columns // 16)),
        ".weight_scale_2": torch.tensor(0.5), ".input_scale": torch.tensor(0.5),
    }),
    "quanto": ({"quant_method": "quanto", "weights": "int8"}, lambda rows, columns: {
        ".weight._data": ones(I8, rows, columns), ".weight._scale": ones(F16, rows, 1),
    }),
    "hqq": ({"quant_method": "hqq"}, lambda rows, columns: {
        ".W_q": ones(U8, rows * columns // 2, 1), ".scale": ones(F16, rows, 1), ".zero": ones(F16, rows, 1),
        ".nbits": torch.tensor(4),
    }),
    "aqlm": ({"quant_method": "aqlm"}, lambda rows, columns: {
        ".codes": ones(I8, rows, -(-columns // 8), 2), ".codebooks": ones(F16, 2, 256, 1, 8),
        ".scales": ones(F16, rows, 1, 1, 1),
    }),
    "eetq": ({"quant_method": "eetq"}, lambda rows, columns: {
        ".weight": ones(I8, columns, rows), ".weight_scales": ones(F16, rows),
    }),
    "vptq": ({"quant_method": "vptq"}, lambda rows, columns: {
        ".indices": ones(I32, 1, columns // 4, rows // 4), ".centroids.weight": ones(F16, 1, 256 * 8),
        ".res_centroids.weight": ones(F16, 1, 256), ".perm": ones(torch.int16, columns),
        ".weight_scale": ones(F16, columns), ".weight_bias": ones(F16, columns),
    }),
    "spqr": ({"quant_method": "spqr", "bits": 3, "shapes": {}}, lambda rows, columns: {
        ".dense_weights": ones(torch.int64, rows * columns // 16), ".row_offsets": ones(I32, rows + 1),
        ".col_vals": ones(I32, 9), ".in_perm": ones(torch.int16, columns),
    }),
    "higgs": ({"quant_method": "higgs", "bits": 4}, lambda rows, columns: {
        ".weight": ones(torch.int16, -(-rows // 4), columns), ".scales": ones(F16, rows, 1), ".tables": ones(F16, 16),
        ".tables2": ones(F32, 16, 16, 1),
    }),
    "bitnet": ({"quant_method": "bitnet"}, lambda rows, columns: {
        ".weight": ones(U8, -(-rows // 4), columns), ".weight_scale": ones(BF16, 1),
    }),
    "quark": ({"quant_method": "quark", "export": {}, "global_quant_config": {}}, lambda rows, columns: {
        ".weight": ones(I8, rows, columns), ".weight_scale": ones(F16, rows), ".weight_zero_point": ones(I8, rows),
    }),
    "exl2": ({"quant_method": "exl2", "bits": 4.25}, lambda rows, columns: {
        ".q_weight": ones(I32, -(-columns // 8), rows), ".q_scale": ones(I32, 2, -(-rows // 8)),
        ".q_scale_max": ones(F16, 2), ".q_groups": ones(torch.int16, 4), ".q_perm": ones(torch.int16, columns),
        ".q_invperm": ones(torch.int16, columns),
    }),
    "exl3": ({"quant_method": "exl3", "bits": 3.0}, lambda rows, columns: {
        ".trellis": ones(torch.int16, -(-columns // 16), -(-rows // 16), 48), ".suh": ones(F16, columns),
        ".svh": ones(F16, rows), ".mcg": torch.tensor(3), ".mul1": torch.tensor(5),
    }),
    "fp_quant": ({"quant_method": "fp_quant", "forward_dtype": "mxfp4"}, lambda rows, columns: {
        ".qweight": ones(U8, rows, -(-columns // 2)), ".scales": ones(U8, rows, -(-columns // 32)),
        ".forward_hadamard_matrix": ones(BF16, 32, 32), ".backward_hadamard_matrix": ones(BF16, 32, 32),
        ".weight_global_scale": ones(F32, 1), ".act_global_scale": ones(F32, 1),
    }),
    "sinq": ({"quant_method": "sinq", "nbits": 4}, lambda rows, columns: {
        ".W_q": ones(U8, rows * columns // 2), ".scale": ones(F16, rows, 1), ".zero": ones(F16, rows, 1),
        ".scale2": ones(F16, 1, columns), ".meta": ones(U8, 40),
    }),
    "metal": ({"quant_method": "metal", "bits": 4, "group_size": 64}, lambda rows, columns: {
        ".weight": torch.ones(rows, -(-columns // 8)).to(torch.uint32), ".scales": ones(F32, rows, 1),
        ".qbiases": ones(F32, rows, 1),
    }),
    "quip": ({"quant_method": "quip"}, lambda rows, columns: {
        ".Qidxs": ones(torch.int16, rows, columns // 8), ".SU": ones(F16, columns), ".SV": ones(F16, rows),
        ".codebook_id": torch.tensor(7),
    }),
    "marlin": ({"quant_method": "marlin", "bits": 4}, lambda rows, columns: {
        ".B": ones(I32, -(-columns // 16), rows * 2), ".s": ones(F16, 1, rows), ".workspace": ones(I32, 16),
    }),
    "of tomorrow": ({"quant_method": "of-tomorrow"}, lambda rows, columns: {
        ".magic": ones(U8, rows * columns // 3), ".wand": ones(F32, rows), ".hat": ones(F32, 1),
    }),
}  # fmt: skip


# Those whose names say nothing by themselves.
UNKNOWN = ("of tomorrow", "marlin")
# Those that no file implements.
NAMED = [name for name, (settings, _) in METHODS.items() if settings["quant_method"].replace("-", "_") not in methods()]


@pytest.fixture(scope="module")
def plain(saved: Callable[[str], Path]) -> tuple[dict[str, torch.Tensor], dict[str, Any], int]:
    """A tiny Llama's tensors, its config, and how many parameters transformers counts."""
    tensors = load_file(saved("llama") / "model.safetensors")
    return tensors, json.loads((saved("llama") / "config.json").read_text()), sum(t.numel() for t in tensors.values())


def write(directory: Path, tensors: dict[str, torch.Tensor], config: dict[str, Any]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def quantized(tensors: dict[str, torch.Tensor], pack: Pack, but: str = "lm_head") -> dict[str, torch.Tensor]:
    """Every Linear as the method stores it, less those whose name holds `but`."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        module = name.removesuffix(".weight")
        if tensor.dim() == 2 and "embed" not in name and but not in name:
            found |= {f"{module}{mark}": part.clone() for mark, part in pack(*tensor.shape).items()}
        else:
            found[name] = tensor
    return found


def said(model: weightscope.Model) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in model.check() if finding.severity != "info"]


@pytest.mark.parametrize("name", NAMED)
def test_a_method_that_is_not_implemented_is_named_counted_and_not_computed(
    name: str, plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    tensors, config, total = plain
    settings, pack = METHODS[name]
    model = weightscope.open(write(tmp_path, quantized(tensors, pack), config | {"quantization_config": settings}))
    summary = model.summary()
    assert model.parameters.total == total
    assert (summary.model.recognized, summary.model.quantization) == (True, settings["quant_method"])
    # A scale of activations belongs to no weight.
    assert all(name.endswith("input_scale") for name in summary.tensors.unrecognized)
    stored = sum(t.nbytes for n, t in load_file(tmp_path / "model.safetensors").items() if "input_scale" not in n)
    assert summary.parameters.bits_per_parameter == pytest.approx(stored * 8 / total, rel=0.01)
    assert said(model) == [("unknown-architecture", "warning")]
    with pytest.raises(WeightscopeError, match=settings["quant_method"]):
        model.forward(TOKENS)


@pytest.mark.parametrize("name", METHODS)
def test_plain_weights_under_a_left_over_config_are_said_counted_and_computed(
    name: str, plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    tensors, config, total = plain
    model = weightscope.open(write(tmp_path, tensors, config | {"quantization_config": METHODS[name][0]}))
    assert (model.parameters.total, model.parameters.bits_per_parameter) == (total, 32.0)
    assert model.summary().model.quantization is None
    assert said(model) == [("quantization-mismatch", "error")]
    expected = weightscope.open(saved("llama")).forward(TOKENS).logits
    torch.testing.assert_close(model.forward(TOKENS).logits, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in UNKNOWN])
def test_quantized_weights_without_a_config_are_said_and_counted(
    name: str, plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    tensors, config, total = plain
    model = weightscope.open(write(tmp_path, quantized(tensors, METHODS[name][1]), config))
    assert model.parameters.total == total
    assert ("quantization-mismatch", "error") in said(model)
    assert not {"missing-tensor", "shape-mismatch"} & {code for code, _ in said(model)}
    # What the tensors tell enough of is computed.
    if any(g.scheme and not g.packing[1] and g.kind == "weight" for g in model.inventory.groups):
        with pytest.raises(WeightscopeError, match="not implemented"):
            model.forward(TOKENS)


@pytest.mark.parametrize(
    ("stored", "claimed", "found"),
    [
        ("bitsandbytes int8", {"quant_method": "gptq", "bits": 4}, "bitsandbytes int8, not gptq"),
        ("gptq", {"quant_method": "bitsandbytes", "load_in_4bit": True}, "GPTQ, not bitsandbytes"),
        ("fbgemm_fp8", {"quant_method": "fp8", "weight_block_size": [8, 8]},
         "stored with weight_scale, but loaders look for weight_scale_inv"),
    ],
)  # fmt: skip
def test_another_method_than_the_config_says(
    stored: str,
    claimed: dict[str, Any],
    found: str,
    plain: tuple[dict[str, torch.Tensor], dict[str, Any], int],
    tmp_path: Path,
) -> None:
    tensors, config, total = plain
    packed = quantized(tensors, METHODS[stored][1])
    model = weightscope.open(write(tmp_path, packed, config | {"quantization_config": claimed}))
    findings = [f for f in model.check() if f.code == "quantization-mismatch"]
    assert [f.severity for f in findings] == ["error"]
    assert found in findings[0].message
    assert model.parameters.total == total


@pytest.mark.parametrize("dtype", [I8, U8, FP8, torch.float8_e5m2])
def test_narrow_weights_without_scales_are_not_computed(
    dtype: torch.dtype, plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    tensors, config, total = plain
    narrow = {n: t.to(dtype) if t.dim() == 2 and "embed" not in n else t for n, t in tensors.items()}
    model = weightscope.open(write(tmp_path, narrow, config))
    assert said(model) == [("quantization-mismatch", "error")]
    assert model.parameters.total == total
    with pytest.raises(WeightscopeError, match="its scales are not known"):
        model.forward(TOKENS)


def fp8_blocks(rows: int, columns: int) -> dict[str, torch.Tensor]:
    return {".weight": ones(FP8, rows, columns), ".weight_scale_inv": ones(F32, -(-rows // 8), -(-columns // 8))}


BLOCKS = {"quant_method": "fp8", "weight_block_size": [8, 8]}


@pytest.mark.parametrize("claimed", [BLOCKS, {"quant_method": "fbgemm_fp8"}], ids=["implemented", "not"])
def test_all_scales_lost_is_one_fault(
    claimed: dict[str, Any], plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    tensors, config, total = plain
    packed = {n: t for n, t in quantized(tensors, fp8_blocks).items() if not n.endswith("scale_inv")}
    model = weightscope.open(write(tmp_path, packed, config | {"quantization_config": claimed}))
    assert said(model) == [("quantization-mismatch", "error")]
    assert model.parameters.total == total
    with pytest.raises(WeightscopeError, match="its scales are not known"):
        model.forward(TOKENS)


@pytest.mark.parametrize(
    ("leaf", "dtype", "is_sound"),
    [
        ("weight_scale_inv", torch.bfloat16, True),
        ("weight_scale_inv", torch.float8_e8m0fnu, True),
        ("weight_scale_inv", U8, False),
        ("weight_scale_inv", FP8, False),
        ("weight", torch.float8_e5m2, True),
        ("weight", U8, False),
        ("weight", F16, False),
    ],
)
def test_each_tensor_of_a_scheme_has_an_element_type_of_its_own(
    leaf: str,
    dtype: torch.dtype,
    is_sound: bool,
    plain: tuple[dict[str, torch.Tensor], dict[str, Any], int],
    tmp_path: Path,
) -> None:
    """Exponents as bytes would be read as numbers."""
    tensors, config, _ = plain
    packed = quantized(tensors, fp8_blocks)
    name = f"model.layers.1.mlp.up_proj.{leaf}"
    packed[name] = packed[name].to(dtype)
    model = weightscope.open(write(tmp_path, packed, config | {"quantization_config": BLOCKS}))
    found = [f for f in model.check() if f.severity == "error"]
    assert [f.code for f in found] == ([] if is_sound else ["quantization-mismatch"])
    assert all(name.rpartition(".")[2] == f.tensors[0].rpartition(".")[2] for f in found)


def test_some_modules_plain_that_the_config_says_are_quantized(
    plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    """FP8 in blocks, but for one layer's mlp: transformers would look for its scales."""
    tensors, config, total = plain
    packed = quantized(tensors, fp8_blocks, but="layers.1.mlp") | {"lm_head.weight": tensors["lm_head.weight"]}
    packed.pop("lm_head.weight_scale_inv")
    model = weightscope.open(write(tmp_path, packed, config | {"quantization_config": BLOCKS}))
    (finding,) = [finding for finding in model.check() if finding.severity == "error"]
    assert finding.code == "quantization-mismatch"
    assert finding.tensors == tuple(f"model.layers.1.mlp.{role}_proj.weight" for role in ("gate", "up", "down"))
    assert model.parameters.total == total
    assert model.forward(TOKENS).finite


@pytest.mark.parametrize("file", ["hf_quant_config.json", "quantize_config.json"])
def test_a_file_beside_config_json_says_it_too(
    file: str, plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    tensors, config, total = plain
    name = {"hf_quant_config.json": "modelopt", "quantize_config.json": "gptq"}[file]
    content = {
        "hf_quant_config.json": '{"quantization": {"quant_algo": "NVFP4"}}',
        "quantize_config.json": '{"bits": 4, "group_size": 8}',
    }
    (tmp_path / file).write_text(content[file])
    model = weightscope.open(write(tmp_path, quantized(tensors, METHODS[name][1]), config))
    assert (model.parameters.total, model.summary().model.quantization) == (total, name)
    assert said(model) == ([("unknown-architecture", "warning")] if name in NAMED else [])


def test_scales_are_no_parameters_of_a_type_that_is_not_declared(tmp_path: Path) -> None:
    """The scales of every method beside one matrix of 8 × 16; a `.scale` beside no weight is a parameter."""
    own = {
        "weight",
        "bias",
        "qweight",
        "weight_packed",
        "weight._data",
        "W_q",
        "codes",
        "nbits",
        "magic",
        "wand",
        "hat",
    }
    # Of these, what holds the weights has a name that says so only beside the others.
    anchored = ("vptq", "spqr", "exl2", "exl3", "quip", "marlin", "sinq", "higgs")
    packs = [pack for name, (_, pack) in METHODS.items() if name not in anchored]
    scales = {f"m{mark}": part for pack in packs for mark, part in pack(8, 16).items()}
    tensors = {name: part for name, part in scales.items() if name.removeprefix("m.") not in own}
    tensors |= {"m.weight": torch.ones(8, 16), "norm.scale": torch.ones(16)}
    model = weightscope.open(write(tmp_path, tensors, {"model_type": "of_tomorrow"}))
    assert model.parameters.total == 8 * 16 + 16


@pytest.mark.parametrize(("dtype", "bits"), [(I32, None), (U8, None), (F16, 16.0), (FP8, 8.0)])
def test_bits_are_stated_only_where_elements_are_known_to_be_weights(
    dtype: torch.dtype, bits: float | None, tmp_path: Path
) -> None:
    model = weightscope.open(write(tmp_path, {"a.b.weight": ones(dtype, 4, 4)}, {"model_type": "x"}))
    assert model.parameters.bits_per_parameter == bits


def test_a_shard_of_tables_says_nothing_of_quantization(
    plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    """Embedding, head and norms are plain in every checkpoint of GPTQ's."""
    tensors, config, _ = plain
    tables = {name: tensor for name, tensor in tensors.items() if "proj" not in name}
    model = weightscope.open(write(tmp_path, tables, config | {"quantization_config": METHODS["gptq"][0]}))
    assert "quantization-mismatch" not in {code for code, _ in said(model)}


@pytest.mark.parametrize("name", ["gptq", "bitsandbytes int8"])
def test_pickles_and_shards_are_read_alike(
    name: str, plain: tuple[dict[str, torch.Tensor], dict[str, Any], int], tmp_path: Path
) -> None:
    tensors, config, total = plain
    settings, pack = METHODS[name]
    packed = quantized(tensors, pack)
    names = sorted(packed)
    files = [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    for n, file in enumerate(files):
        torch.save({name: packed[name] for name in names[n::2]}, tmp_path / file)
    index = {"metadata": {}, "weight_map": {name: files[n % 2] for n, name in enumerate(names)}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    model = weightscope.open(tmp_path)
    assert model.parameters.total == total
    assert said(model) == ([("unknown-architecture", "warning")] if name in NAMED else [])
