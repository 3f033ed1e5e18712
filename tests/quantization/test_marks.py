"""Tensors beside quantized weights, as the libraries that write them name them."""

from __future__ import annotations

import pytest

from weightscope.quantization.common.marks import mark_beside, mark_of, signature_of

M = "model.layers.0.mlp.up_proj"
# Names from GPTQModel, AutoAWQ, bitsandbytes, compressed-tensors, ModelOpt, optimum-quanto, HQQ, AQLM and transformers.
WRITTEN = {
    "GPTQ": ["qweight", "qzeros", "scales", "g_idx"],
    "GPTQ or AWQ": ["qweight", "qzeros", "scales"],
    "bitsandbytes int8": ["SCB", "weight_format"],
    "bitsandbytes 4 bit": [
        "weight.absmax", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map",
        "weight.quant_state.bitsandbytes__nf4",
    ],
    "compressed-tensors, packed": [
        "weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx",
    ],
    "ModelOpt NVFP4": ["weight_scale", "weight_scale_2"],
    "FP8 in blocks": ["weight_scale_inv"],
    "{} with weight_scale": ["weight_scale"],
    "MLX": ["scales", "biases"],
    "EETQ": ["weight_scales"],
    "quanto": ["weight._data", "weight._scale"],
    "HQQ": ["W_q"],
    "AQLM": ["codes", "codebooks", "scales"],
    "EXL2": ["q_weight", "q_scale", "q_scale_max", "q_groups", "q_perm", "q_invperm"],
    "Mistral FP8": ["qscale_weight"],
    "torchao": ["_weight_qdata", "_weight_scale", "_weight_zero_point"],
    "AWQ": ["qweight", "scaled_zeros", "scales"],
    "FP-Quant": ["qweight", "scales", "forward_hadamard_matrix", "backward_hadamard_matrix", "weight_global_scale"],
    "transformers' Metal kernels": ["scales", "qbiases"],
}  # fmt: skip


@pytest.mark.parametrize(("title", "leaves"), WRITTEN.items(), ids=WRITTEN.keys())
def test_marks_and_what_they_tell(title: str, leaves: list[str]) -> None:
    found = [mark_of(f"{M}.{leaf}") for leaf in leaves]
    assert found == [(M, f".{leaf}") for leaf in leaves]
    assert signature_of([f".{leaf}" for leaf in leaves]).title == title


ANCHORED = {
    "SpQR": ["dense_weights", "row_offsets", "col_vals", "in_perm"],
    "EXL3": ["trellis", "suh", "svh", "mcg"],
    "QuIP#": ["Qidxs", "SU", "SV", "codebook_id"],
    "VPTQ": ["centroids.weight", "res_centroids.weight", "indices", "perm", "weight_scale"],
    "HIGGS": ["tables2", "tables", "scales"],
    "HQQ": ["W_q", "scale", "zero", "nbits", "group_size"],
    "SINQ": ["W_q", "scale", "scale2"],
}


@pytest.mark.parametrize(("title", "leaves"), ANCHORED.items(), ids=ANCHORED.keys())
def test_marks_that_only_others_beside_them_tell(title: str, leaves: list[str]) -> None:
    names = {f"{M}.{leaf}" for leaf in leaves}
    assert {mark_beside(name, names) for name in names} == {(M, f".{leaf}") for leaf in leaves}
    assert signature_of([f".{leaf}" for leaf in leaves]).title == title
    assert mark_beside(f"{M}.bias", names) is None
    assert mark_of(f"{M}.indices") is None


def test_stacked_experts() -> None:
    assert mark_of("mlp.experts.up_proj_blocks") == ("mlp.experts.up_proj", "_blocks")
    assert mark_of("mlp.experts.up_proj_scales") == ("mlp.experts.up_proj", "_scales")
    assert mark_of("mlp.experts.up_proj_scale_inv") == ("mlp.experts.up_proj", "_scale_inv")


@pytest.mark.parametrize(
    "name",
    ["model.norm.weight", f"{M}.weight", f"{M}.bias", "logit_scale", "visual.logit_scale", "blocks.0.layer_scale",
     "h.0.attn.masked_bias", "rotary_emb.inv_freq", "scales", "mixer.dt_bias", "temperature.scale"],
)  # fmt: skip
def test_what_is_no_mark(name: str) -> None:
    assert mark_of(name) is None


def test_a_scale_is_a_mark_beside_a_weight() -> None:
    assert mark_beside(f"{M}.scale", {f"{M}.weight"}) == (M, ".scale")
    assert mark_beside("norm.scale", {f"{M}.weight"}) is None


def test_no_method_that_is_known() -> None:
    assert signature_of([".tables", ".tables2"]).title == "unknown method with tables, tables2"
