"""Quantized checkpoints: settings of each method, and a fixture's matrices as the method stores them, at random."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import prod
from random import Random
from typing import Any, NamedTuple

from fuzz.values import dumped, mutated

BITS = {"F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E8M0": 8, "U8": 8, "I8": 8, "I32": 32, "U32": 32, "I64": 64}
Tensors = dict[str, tuple[str, list[int]]]


class Form(NamedTuple):
    """Settings, and the tensors that stand for a matrix of so many rows and columns, by what follows its module."""

    settings: dict[str, Any]
    tensors: Callable[[int, int], Tensors]


def _compressed(form: str, weights: dict[str, Any], inputs: dict[str, Any] | None = None) -> dict[str, Any]:
    group = {"targets": ["Linear", r"re:.*self_attn\.(q|k)_proj$"], "weights": weights, "input_activations": inputs}
    return {
        "quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed",
        "config_groups": {"group_0": group}, "ignore": ["lm_head", "re:.*gate$"], "kv_cache_scheme": None,
    }  # fmt: skip


FP8, GROUPED = {"num_bits": 8, "type": "float"}, {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 8}
FORMS = (
    Form({"quant_method": "fp8", "weight_block_size": [8, 8], "modules_to_not_convert": ["lm_head", r"a\.(b|c)"]},
         lambda r, c: {"weight": ("F8_E4M3", [r, c]), "weight_scale_inv": ("F32", [-(-r // 8), -(-c // 8)])}),
    Form({"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None, "scale_fmt": "ue8m0"},
         lambda r, c: {"weight": ("F8_E4M3", [r, c]), "qscale_weight": ("BF16", []), "qscale_act": ("F32", [1])}),
    Form({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]},
         lambda r, c: {"weight": ("F8_E4M3", [r, c]), "weight_scale": ("F32", [r, 1])}),
    Form({"quant_method": "mxfp8"},
         lambda r, c: {"weight": ("F8_E4M3", [r, c]), "weight_scale": ("U8", [r, -(-c // 32)])}),
    Form(_compressed("float-quantized", FP8 | {"strategy": "block", "block_structure": [8, 8]}, FP8),
         lambda r, c: {"weight": ("F8_E4M3", [r, c]), "weight_scale": ("BF16", [-(-r // 8), -(-c // 8)]),
                       "input_scale": ("BF16", [1])}),
    Form(_compressed("pack-quantized", GROUPED | {"symmetric": False, "actorder": "group"}),
         lambda r, c: {"weight_packed": ("I32", [r, -(-c // 8)]), "weight_scale": ("F16", [r, -(-c // 8)]),
                       "weight_shape": ("I64", [2]), "weight_zero_point": ("I32", [-(-r // 8), -(-c // 8)]),
                       "weight_g_idx": ("I32", [c])}),
    Form(_compressed("nvfp4-pack-quantized", FP8 | {"num_bits": 4, "strategy": "tensor_group", "group_size": 16}),
         lambda r, c: {"weight_packed": ("U8", [r, -(-c // 2)]), "weight_scale": ("F8_E4M3", [r, -(-c // 16)]),
                       "weight_global_scale": ("F32", [1])}),
    Form({"quant_method": "gptq", "bits": 3, "group_size": 8, "desc_act": True, "checkpoint_format": "gptq",
          "dynamic": {r"-:.*\.0\.mlp": {}, r"+:^a\.b$": {"bits": 4}}, "modules_in_block_to_quantize": None},
         lambda r, c: {"qweight": ("I32", [-(-c * 3 // 32), r]), "qzeros": ("I32", [-(-c // 8), -(-r * 3 // 32)]),
                       "scales": ("F16", [-(-c // 8), r]), "g_idx": ("I32", [c]), "bias": ("F16", [r])}),
    Form({"quant_method": "auto-round", "bits": 4, "group_size": 8, "packing_format": "auto_round",
          "block_name_to_quantize": "model.layers", "extra_config": {"lm_head": {"bits": 16}, ".*mlp": {"bits": 4}}},
         lambda r, c: {"qweight": ("I32", [-(-c // 8), r]), "qzeros": ("I32", [-(-c // 8), -(-r // 8)]),
                       "scales": ("F16", [-(-c // 8), r])}),
    Form({"quant_method": "awq", "bits": 4, "group_size": 8, "version": "gemm", "modules_to_not_convert": ["visual"]},
         lambda r, c: {"qweight": ("I32", [c, -(-r // 8)]), "qzeros": ("I32", [-(-c // 8), -(-r // 8)]),
                       "scales": ("F16", [-(-c // 8), r])}),
    Form({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": ["lm_head"]},
         lambda r, c: {"weight": ("I8", [r, c]), "SCB": ("F32", [r]), "weight_format": ("U8", [])}),
    Form({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
          "bnb_4bit_use_double_quant": True, "bnb_4bit_quant_storage": "uint8"},
         lambda r, c: {"weight": ("U8", [-(-r * c // 2), 1]), "weight.absmax": ("U8", [-(-r * c // 64)]),
                       "weight.quant_map": ("F32", [16]), "weight.nested_absmax": ("F32", [1]),
                       "weight.nested_quant_map": ("F32", [256]),
                       "weight.quant_state.bitsandbytes__nf4": ("U8", [90])}),
    Form({"quant_method": "quanto", "weights": "int4", "modules_to_not_convert": ["lm_head"]},
         lambda r, c: {"weight._data._data": ("U8", [-(-r // 2), c]), "weight._scale": ("F32", [r, 1]),
                       "weight._shift": ("F32", [r, 1]), "input_scale": ("F32", [])}),
    Form({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 8, "axis": 1}}},
         lambda r, c: {"W_q": ("U8", [-(-r * c // 16), 8]), "scale": ("F16", [r * c // 8, 1]), "nbits": ("I32", []),
                       "zero": ("F16", [r * c // 8, 1]), "shape": ("I64", [2]), "packing": ("U8", [7])}),
    Form({"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {
          "group_size": 8, "int4_packing_format": {"_type": "Int4PackingFormat", "_data": "PLAIN"}}}}},
         lambda r, c: {"_weight_qdata": ("I8", [r, -(-c // 2)]), "_weight_scale": ("BF16", [-(-c // 8), r]),
                       "_weight_zero_point": ("BF16", [-(-c // 8), r])}),
    Form({"bits": 4, "group_size": 8, "model.layers.0.mlp.up_proj": {"bits": 3, "group_size": 32}, "lm_head": False},
         lambda r, c: {"weight": ("U32", [r, c // 8]), "scales": ("F16", [r, c // 8]), "biases": ("F16", [r, c // 8])}),
    Form({"bits": 4, "group_size": 16, "mode": "nvfp4", "model.layers.0.mlp.up_proj": {"mode": "mxfp8"}},
         lambda r, c: {"weight": ("U32", [r, c // 8]), "scales": ("U8", [r, c // 16])}),
    Form({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head", "*.[qk]_proj"]},
         lambda r, c: {"weight": ("U8", [r, c // 2]), "weight_scale": ("F8_E4M3", [r, c // 16]),
                       "weight_scale_2": ("F32", []), "pre_quant_scale": ("F32", [c])}),
    Form({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "exclude_modules": ["*"], "quantized_layers": {
            "model.layers.0": {"quant_algo": "FP8"}, "model.layers.1.mlp": {"quant_algo": "MXFP8", "group_size": 8}}},
         lambda r, c: {"weight": ("F8_E4M3", [r, c]), "weight_scale": ("F32", []), "input_scale": ("F32", [])}),
    Form({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "W4A16_AWQ", "group_size": 8}},
         lambda r, c: {"weight": ("U8", [r // 2, c]), "weight_scale": ("F32", [r, -(-c // 8)])}),
    Form({"quant_method": "fp8", "weight_block_size": [8, 8], "moe_quant_algo": "NVFP4", "config_groups": {
            "group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "float", "group_size": 16}}}},
         lambda r, c: {"weight": ("I8", [r, c // 2]), "scale": ("F8_E8M0", [r, c // 32])}),
)  # fmt: skip


def quantized(random: Random, files: dict[str, bytes]) -> None:
    """Make the settings, the matrices, or both of a checkpoint those of a method, settings perhaps with a fault."""
    form = random.choice(FORMS)
    if random.random() < 0.9 and "config.json" in files:
        settings = form.settings if random.random() < 0.4 else mutated(random, form.settings, random.choice((1, 1, 2)))
        try:
            config = json.loads(files["config.json"])
        except ValueError:
            return
        files["config.json"] = dumped(random, dict(config, quantization_config=settings))
    for name in [name for name in files if name.endswith(".safetensors") and random.random() < 0.9]:
        files[name] = _packed(random, files[name], form)


def _packed(random: Random, raw: bytes, form: Form) -> bytes:
    """A file with its inner matrices in a method's form."""
    length = int.from_bytes(raw[:8], "little")
    try:
        header: Any = json.loads(raw[8 : 8 + length])
        entries = [(name, item["dtype"], item["shape"], item["data_offsets"]) for name, item in header.items()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return raw
    found: dict[str, Any] = {}
    data = bytearray()
    for name, dtype, shape, offsets in entries:
        module = name.removesuffix(".weight")
        parts: dict[str, tuple[str, list[int]]] = {name: (dtype, shape)}
        inner = module.endswith("proj") and name.endswith(".weight") and len(shape) == 2
        if inner:
            parts = {f"{module}.{leaf}": part for leaf, part in form.tensors(*shape).items()}
        for part, (kind, size) in parts.items():
            start = len(data)
            old = raw[8 + length + offsets[0] : 8 + length + offsets[1]]
            data += random.randbytes(prod(size) * BITS[kind] // 8) if inner else old
            found[part] = {"dtype": kind, "shape": size, "data_offsets": [start, len(data)]}
    made = json.dumps(found).encode()
    return len(made).to_bytes(8, "little") + made + bytes(data)
