"""Tensors that stand beside a quantized weight, recognized by their names for every common method.

A name is its module and a mark: `a.b.qweight` is module `a.b`, mark `.qweight`; `a.experts.up_scales` is `a.experts.up`
and `_scales`. A module's marks tell which method wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from functools import cache
from typing import NamedTuple

# Marks that hold the weights themselves, packed, and so are parameters.
PACKED = (
    ".qweight",
    ".weight_packed",
    "_blocks",
    ".W_q",
    ".weight._data",
    ".weight._data._data",
    "._weight_qdata",
    ".codes",
    ".q_weight",
    ".trellis",
)
# The same under names that say so only beside an anchor.
ANCHORED = (".indices", ".dense_weights", ".Qidxs")
# Where one of these is, all that lies beside it in its module belongs to the weight, under whatever name: HQQ and SINQ
# store each of their settings, SpQR, EXL3, QuIP#, VPTQ and HIGGS what nobody else has.
ANCHORS = (".W_q", ".dense_weights", ".trellis", ".Qidxs", ".centroids.weight", ".tables2")
# Marks only where a weight is beside them: in some models these are parameters of their own.
AMBIGUOUS = (".scale", ".zero", ".zeros")
# Scales of cached keys and values, and of an attention over them.
CACHES = frozenset({".k_scale", ".v_scale", ".q_scale", ".kv_scale", ".prob_output_scale"})
# Scales of activations and caches: they say nothing of how a weight is stored.
_ACTIVATIONS = (
    "input_scale input_zero_point input_global_scale output_scale output_zero_point activation_scale "
    "pre_quant_scale qscale_act input_activation_scale output_activation_scale"
)
ACTIVATIONS = CACHES | {f".{leaf}" for leaf in _ACTIVATIONS.split()}
# Scales, zero points, code books and records of a weight, below its module.
_SIDES = (
    "weight_scale weight_scale_inv weight_scale_2 weight_scales weight_global_scale weight_zero_point weight_shape "
    "weight_g_idx weight_format weight_offset weight_compress_indices qscale_weight qzeros scales biases g_idx SCB "
    "global_scale codebooks q_scale_max q_groups q_group_map q_perm q_invperm suh svh scale_inv scaled_zeros "
    "_weight_scale _weight_zero_point _weight_act_pre_scale qbiases act_global_scale forward_hadamard_matrix "
    "backward_hadamard_matrix"
)
_CENTROIDS = r"(?:res_|outlier_)?centroids\.weight"
_OF_WEIGHT = r"_scale|_shift|absmax|nested_absmax|quant_map|nested_quant_map|quant_state\.\w+"
_NAMED = "|".join([*_SIDES.split(), *(re.escape(mark[1:]) for mark in (*PACKED, *ACTIVATIONS) if mark[0] == ".")])


@cache
def _pattern() -> re.Pattern[str]:
    """Compiled when the first name is in question: most checkpoints have none."""
    return re.compile(rf"(?:\.(?:{_NAMED}|{_CENTROIDS}|(?:weight\.)?(?:{_OF_WEIGHT}))|_blocks|_scales|_scale_inv)$")


class Signature(NamedTuple):
    """What a set of marks tells: `marks` are all there, `title` names it, `methods` are what configs call it.

    A `{}` in the title stands for the kind of element that the weights have.
    """

    marks: frozenset[str]
    title: str
    methods: frozenset[str]


def _signature(marks: str, title: str, methods: str) -> Signature:
    return Signature(frozenset(marks.split()), title, frozenset(methods.split()))


# The first whose marks are all there; more marks before fewer.
SIGNATURES = (
    _signature(".centroids.weight .indices", "VPTQ", "vptq"),
    _signature(".dense_weights", "SpQR", "spqr"),
    _signature(".Qidxs", "QuIP#", "quip quip-sharp quip_sharp"),
    _signature(".W_q .scale2", "SINQ", "sinq"),
    _signature(".SCB", "bitsandbytes int8", "bitsandbytes"),
    _signature(".weight.absmax", "bitsandbytes 4 bit", "bitsandbytes"),
    _signature(".absmax", "bitsandbytes 4 bit", "bitsandbytes"),
    _signature(".weight_packed", "compressed-tensors, packed", "compressed-tensors"),
    _signature(".weight_scale .weight_scale_2", "ModelOpt NVFP4", "modelopt modelopt_fp4 modelopt_mixed"),
    _signature(".weight_scale_inv", "FP8 in blocks", "fp8"),
    _signature("_scale_inv", "FP8 in blocks", "fp8"),
    _signature(".qscale_weight", "Mistral FP8", "fp8 mistral"),
    _signature(
        ".weight_scale",
        "{} with weight_scale",
        "compressed-tensors fp8 fbgemm_fp8 modelopt modelopt_mixed quark bitnet gemma mxfp8 modelopt_fp8",
    ),
    _signature(".qweight .g_idx", "GPTQ", "gptq auto-round auto_round gptq_marlin intel/auto-round inc"),
    _signature(".qweight .qzeros", "GPTQ or AWQ", "gptq awq auto-round auto_round gptq_marlin awq_marlin inc"),
    _signature("_blocks _scales", "MXFP4", "mxfp4"),
    _signature(".scales .biases", "MLX", "mlx"),
    _signature(".scales .qbiases", "transformers' Metal kernels", "metal"),
    _signature(".scales .tables2", "HIGGS", "higgs"),
    _signature(".qweight .forward_hadamard_matrix", "FP-Quant", "fp_quant"),
    _signature(".dqweight .forward_hadamard_matrix", "FP-Quant", "fp_quant"),
    _signature(".weight_scales", "EETQ", "eetq"),
    _signature(".weight._data", "quanto", "quanto"),
    _signature(".weight._data._data", "quanto", "quanto"),
    _signature(".W_q", "HQQ", "hqq sinq"),
    _signature("._weight_qdata", "torchao", "torchao"),
    _signature(".qweight .scaled_zeros", "AWQ", "awq"),
    _signature(".codes .codebooks", "AQLM", "aqlm"),
    _signature(".q_weight", "EXL2", "exl2"),
    _signature(".trellis", "EXL3", "exl3"),
    _signature(".scales", "MLX", "mlx"),
    _signature(".scale", "{} with scale", "fp8 mxfp4"),
)


def mark_of(name: str) -> tuple[str, str] | None:
    """The module and the mark of a tensor that stands beside a quantized weight, None for all others."""
    match = _pattern().search(name)
    return (name[: match.start()], name[match.start() :]) if match and match.start() else None


def mark_beside(name: str, names: Container[str]) -> tuple[str, str] | None:
    """The same among the `names` of a checkpoint, by which more is known: a `.scale` is a mark beside a `.weight`."""
    found = mark_of(name)
    if found is not None:
        return found
    module, _, leaf = name.rpartition(".")
    if leaf not in ("weight", "bias") and any(f"{module}{anchor}" in names for anchor in ANCHORS):
        return module, f".{leaf}"
    return (module, f".{leaf}") if name.endswith(AMBIGUOUS) and f"{module}.weight" in names else None


def is_side_beside(name: str, names: Container[str]) -> bool:
    """Whether what lies beside a tensor, and not its own name, says that it belongs to a quantized weight."""
    if mark_of(name) is not None:
        return False
    found = mark_beside(name, names)
    return found is not None and found[1] not in ANCHORED


def of_weight(marks: Collection[str]) -> set[str]:
    """Those that tell how a weight is stored: EXL2's scales have the name of a cache's."""
    return set(marks) - (ACTIVATIONS - {".q_scale"} if ".q_weight" in marks else ACTIVATIONS)


def is_activation(name: str) -> bool:
    """Whether a name is that of a scale of activations or of a cache."""
    found = mark_of(name)
    return found is not None and found[1] in ACTIVATIONS


def signature_of(marks: Collection[str]) -> Signature:
    """What the marks of one module tell; `methods` are empty where they are of no method that is known here."""
    for signature in SIGNATURES:
        if signature.marks <= set(marks):
            return signature
    words = ", ".join(sorted(mark.lstrip("._") for mark in marks))
    return Signature(frozenset(marks), f"unknown method with {words}", frozenset())
