"""The settings with which most published checkpoints of each method of quantization were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]
# What recipes for compressed-tensors leave plain: the head, and what sees or hears.
IGNORED = ("lm_head", "re:.*vision_tower.*", "re:.*vision_model.*", "re:.*visual.*", "re:.*audio_tower.*",
           "re:.*multi_modal_projector.*")  # fmt: skip


def _compressed(form: str, weights: Settings, activations: Settings | None = None) -> Settings:
    """One group of all Linear layers of the language model but the head."""
    group = {"targets": ["Linear"], "weights": weights}
    if activations is not None:
        group["input_activations"] = activations
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": {"group_0": group},
        "ignore": list(IGNORED),
    }


def _integers(bits: int, *, symmetric: bool = True) -> Settings:
    """Packed integers in groups of 128."""
    weights = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": 128, "symmetric": symmetric}
    return _compressed("pack-quantized", weights)


# Methods that write scales in float32, whatever type the model has.
FLOAT32_SCALES = frozenset({"bitsandbytes", "fbgemm_fp8"})
EIGHT = {"num_bits": 8, "strategy": "token", "dynamic": True}
FP4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
# Presets of llm-compressor, by the names that it gives them: `PRESET_SCHEMES` of compressed-tensors 0.20.0.
PRESETS: Mapping[str, Settings] = {
    "w4a16": _integers(4),
    "w4a16-asym": _integers(4, symmetric=False),
    "w8a16": _integers(8),
    "w8a8": _compressed(
        "int-quantized", {"num_bits": 8, "type": "int", "strategy": "channel"}, {**EIGHT, "type": "int"}
    ),
    "fp8-dynamic": _compressed(
        "float-quantized", {"num_bits": 8, "type": "float", "strategy": "channel"}, {**EIGHT, "type": "float"}
    ),
    "nvfp4": _compressed("nvfp4-pack-quantized", FP4, {**FP4, "dynamic": "local"}),
    "nvfp4a16": _compressed("nvfp4-pack-quantized", FP4),
    "mxfp4a16": _compressed(
        "mxfp4-pack-quantized",
        {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"},
    ),
}
USUAL: Mapping[str, Settings] = {
    "auto-round": {
        "quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True,
        "packing_format": "auto_round:auto_gptq",
    },
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    "bitsandbytes": {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True, "bnb_4bit_quant_storage": "uint8",
    },
    "bitsandbytes-8bit": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "fbgemm-fp8": {"quant_method": "fbgemm_fp8"},
    "fp8": {
        "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128],
    },
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
    "hqq": {"quant_method": "hqq", "nbits": 4, "group_size": 64, "axis": 1},
    "mlx": {"bits": 4, "group_size": 64},
    "modelopt": {
        "quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": list(IGNORED),
    },
    "mxfp4": {"quant_method": "mxfp4"},
    "mxfp8": {"quant_method": "mxfp8"},
    "quanto": {"quant_method": "quanto", "weights": "int8"},
    "torchao": {
        "quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig", "_data": {}}},
    },
    **PRESETS,
}  # fmt: skip
