"""What `diff` says of quantized models: against themselves, what their libraries undo them to, and one another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

import weightscope
from tests.quantization.bench import Tensors, fp8_experts, write
from tests.quantization.test_modelopt import Export, of_tomorrow
from tests.quantization.written import MODULE, Written, variants
from weightscope.analyses.diff.result import Diff
from weightscope.errors import WeightscopeError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "quantized"
FOLDERS = sorted(path.parent for path in FIXTURES.rglob("config.json"))
FILES = ("awq", "bitsandbytes", "compressed-tensors", "gptq", "hqq", "quanto", "torchao")
WRITTEN = [(file, title) for file in FILES for title in variants(file)]
# One Llama, drawn from one seed, exported by ModelOpt in each form.
LLAMAS = ["fp8", "fp8-channel", "int8-smooth", "mxfp4", "mxfp8", "w4a16-nvfp4"]


def diff(a: Path, b: Path) -> Diff:
    return weightscope.diff(a, b, values=True)


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_each_is_identical_to_itself(folder: Path) -> None:
    """Also where no scale fits its settings (fp8-blocks)."""
    found = diff(folder, folder)
    assert (found.verdict.kind, found.ok) == ("identical", True)


def llama(matrix: torch.Size) -> tuple[Tensors, dict[str, Any]]:
    """A plain Llama of one layer whose up_proj has a shape."""
    rows, width = matrix
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": width, "intermediate_size": rows,
        "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 8,
        "tie_word_embeddings": True,
    }  # fmt: skip
    layer = "model.layers.0"
    shapes = {
        "model.embed_tokens": (8, width), f"{layer}.mlp.gate_proj": (rows, width), MODULE: (rows, width),
        f"{layer}.mlp.down_proj": (width, rows), f"{layer}.input_layernorm": (width,),
        f"{layer}.post_attention_layernorm": (width,), "model.norm": (width,),
        **{f"{layer}.self_attn.{p}_proj": (width, width) for p in "qkvo"},
    }  # fmt: skip
    draw = torch.Generator().manual_seed(0)
    return {f"{name}.weight": torch.randn(*shape, generator=draw) for name, shape in shapes.items()}, config


def with_written(written: Written, folder: Path) -> Path:
    """That Llama with the matrix as its library stores it."""
    plain, config = llama(written.expected.shape)
    tensors = plain | {f"{MODULE}{mark}": tensor for mark, tensor in written.tensors.items()}
    if ".weight" not in written.tensors:
        del tensors[f"{MODULE}.weight"]
    named = "quant_method" in written.settings
    write(folder, tensors, config | ({"quantization_config": written.settings} if named else {}))
    if not named:
        (folder / "quanto_qmap.json").write_text(json.dumps(written.settings))
    return folder


@pytest.mark.parametrize(("file", "title"), WRITTEN)
def test_what_a_library_undoes_it_to_is_the_same_in_another_form(file: str, title: str, tmp_path: Path) -> None:
    written = variants(file)[title]
    quantized = with_written(written, tmp_path / "quantized")
    plain, config = llama(written.expected.shape)
    dense = write(tmp_path / "dense", plain | {f"{MODULE}.weight": written.expected.float()}, config)
    found = diff(quantized, dense)
    assert [value.address for value in found.values or () if not value.equal] == []
    assert found.verdict.kind == "same-weights", found.verdict
    assert (found.added, found.removed) == ((), ())


@pytest.mark.parametrize("name", [name for name in LLAMAS if name != "fp8"] + ["int4-awq", "nvfp4", "mixture-mixed"])
def test_an_export_and_its_weights_as_they_act(name: str, tmp_path: Path) -> None:
    export = Export(name)
    plain = {key: value for key, value in export.config.items() if key != "quantization_config"}
    dense = write(tmp_path / "dense", export.dense(used=True), plain)
    found = diff(FIXTURES / "modelopt" / name, dense)
    assert [value.relative for value in found.values or () if value.relative is None or value.relative > 1e-7] == []
    assert found.verdict.kind in ("same-weights", "rounded"), found.verdict
    assert (found.added, found.removed) == ((), ())


def test_experts_whose_numbers_end_a_word(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """NLLB's `expert_0`: the codes are not the weights."""
    found = diff(*fp8_experts(saved("nllb-moe"), tmp_path))
    assert [value.address for value in found.values or () if not value.equal] == []
    assert (found.verdict.kind, found.added, found.removed) == ("same-weights", (), ())


@pytest.mark.parametrize("name", LLAMAS[1:])
def test_two_quantizations_of_one_model(name: str) -> None:
    found = diff(FIXTURES / "modelopt" / "fp8", FIXTURES / "modelopt" / name)
    assert found.verdict.kind == "quantization"
    assert "two quantizations of like weights (FP8 with one scale in A, " in found.verdict.text
    assert not found.ok


def test_scales_that_were_folded_into_norms() -> None:
    """AWQ divides both norms of the layer, for the columns behind them."""
    found = diff(FIXTURES / "modelopt" / "fp8", FIXTURES / "modelopt" / "int4-awq")
    assert found.verdict.kind == "quantization"
    assert "its scales are folded into 2 norms" in found.verdict.text
    changed = [value.address for value in found.values or () if not value.equal and "norm" in value.role]
    assert changed == ["layers.0.norm.input_norm", "layers.0.norm.post_attention_norm"]


def smoothed(folder: Path, spread: float, *, undone: bool = True) -> tuple[Path, Path]:
    """A Llama, and the same in FP8 after columns were scaled as AutoAWQ does: by norms, and by rows of v and up.

    Where it is not `undone`, what is before the columns stays as it was.
    """
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 4, "num_hidden_layers": 2}
    model = LlamaForCausalLM(LlamaConfig(hidden_size=64, intermediate_size=96, vocab_size=64, **sizes)).float()
    model.save_pretrained(folder / "plain")
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    chains = {
        "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
        "self_attn.v_proj": ("self_attn.o_proj",),
        "mlp.up_proj": ("mlp.down_proj",),
    }
    for layer in range(2):
        for before, after in chains.items():
            weight = tensors[f"model.layers.{layer}.{before}.weight"]
            scale = torch.exp(spread * torch.randn(len(weight)))
            if undone:
                weight /= scale if weight.dim() == 1 else scale[:, None]
            for name in after:
                tensors[f"model.layers.{layer}.{name}.weight"] *= scale
    for name in [name for name in tensors if name.endswith("proj.weight")]:
        factor = tensors[name].abs().max() / 448
        tensors[name], tensors[f"{name}_scale"] = (tensors[name] / factor).to(torch.float8_e4m3fn), factor
    config = json.loads((folder / "plain" / "config.json").read_text())
    settings = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"]}
    return folder / "plain", write(folder / "fp8", tensors, config | {"quantization_config": settings})


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_scales_that_were_folded_into_norms_and_rows(spread: float, tmp_path: Path) -> None:
    found = diff(*smoothed(tmp_path, spread))
    assert found.verdict.kind == "quantization", found.verdict
    assert found.verdict.text.startswith("B is a quantization of A (FP8 with one scale")
    assert found.verdict.text.endswith("its scales are folded into 4 norms")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_not_finite_is_folded_nowhere(value: float, tmp_path: Path) -> None:
    plain, quantized = smoothed(tmp_path, 1.0)
    tensors = load_file(plain / "model.safetensors")
    tensors["model.layers.0.mlp.down_proj.weight"][0, 0] = value
    write(plain, tensors, json.loads((plain / "config.json").read_text()))
    assert diff(plain, quantized).verdict.kind == "fine-tune"


def test_scales_that_nothing_undoes_are_no_quantization(tmp_path: Path) -> None:
    assert diff(*smoothed(tmp_path, 1.0, undone=False)).verdict.kind == "fine-tune"


def test_another_norm_is_no_folded_one(tmp_path: Path) -> None:
    export = Export("int4-awq")
    name = "model.layers.0.input_layernorm.weight"
    changed = export.stored | {name: export.stored[name].flip(0)}
    export.open(tmp_path, changed)
    assert diff(FIXTURES / "modelopt" / "fp8", tmp_path).verdict.kind == "fine-tune"


def test_codes_that_mean_the_same_are_not_called_identical(tmp_path: Path) -> None:
    """Twice the scale and half of each code: powers of two lose nothing."""
    export = Export("fp8")
    name = "model.layers.0.self_attn.q_proj.weight"
    codes, scale = export.stored[name].float(), export.stored[f"{name}_scale"]
    kept = torch.where(codes.abs() >= 2**-5, codes, torch.zeros(()))
    export.open(tmp_path / "a", {name: kept.to(torch.float8_e4m3fn)})
    export.open(tmp_path / "b", {name: (kept / 2).to(torch.float8_e4m3fn), f"{name}_scale": scale * 2})
    found = diff(tmp_path / "a", tmp_path / "b")
    assert found.verdict.text == "same weights in another form (1 weight with other bytes)"
    alike = [value.address for value in found.values or () if not value.stored_alike]
    assert (alike, found.ok) == (["layers.0.attention.q_proj"], True)


def test_weights_that_were_quantized_anew(tmp_path: Path) -> None:
    export = Export("fp8")
    name = "model.layers.0.self_attn.q_proj.weight"
    other = (export.stored[name].float() * 1.1).to(torch.float8_e4m3fn)
    export.open(tmp_path, {name: other})
    found = diff(FIXTURES / "modelopt" / "fp8", tmp_path)
    assert found.verdict.kind == "fine-tune"
    assert found.verdict.text.startswith("quantized alike, fine-tuned or quantized anew: 1 of ")


def test_other_scales_of_activations(tmp_path: Path) -> None:
    export = Export("fp8")
    name = "model.layers.0.self_attn.q_proj.input_scale"
    export.open(tmp_path, {name: export.stored[name] * 2})
    found = diff(FIXTURES / "modelopt" / "fp8", tmp_path)
    assert found.verdict.text == "same weights; 1 scale of activations changed"
    assert not found.ok


def test_what_cannot_be_undone_is_refused_by_the_name_of_its_model() -> None:
    with pytest.raises(WeightscopeError, match=r"fp8-blocks: .*_proj"):
        diff(FIXTURES / "modelopt" / "fp8", FIXTURES / "modelopt" / "fp8-blocks")


def test_a_method_that_is_not_implemented_is_compared_by_its_bytes(tmp_path: Path) -> None:
    """What differs, or is read by other settings, is refused: nothing tells what it means."""
    export = Export("int4-awq")
    folder = of_tomorrow(export, tmp_path / "a")
    assert diff(folder, folder).verdict.kind == "identical"
    name = "model.layers.0.self_attn.q_proj.weight"
    other = of_tomorrow(export, tmp_path / "b", {name: export.stored[name] ^ 1})
    with pytest.raises(WeightscopeError, match="not implemented"):
        diff(folder, other)
    shutil.copytree(folder, tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["group_size"] = 64
    (tmp_path / "c" / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightscopeError, match="not implemented"):
        diff(folder, tmp_path / "c")


def test_int4_and_what_is_rounded_to_fp8_after_it() -> None:
    """One Llama, drawn from one seed, in both of ModelOpt's forms of AWQ."""
    found = diff(FIXTURES / "modelopt" / "int4-awq", FIXTURES / "modelopt" / "w4a8-awq")
    assert found.verdict.kind == "quantization"


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_numbers_that_are_equal_with_other_bits(value: float, tmp_path: Path) -> None:
    """-0 equals 0 and NaN counts as NaN, and yet the files are not identical."""
    plain, config = llama(torch.Size((8, 4)))
    other = plain | {}
    name = "model.norm.weight"
    plain[name] = torch.full((4,), value)
    other[name] = -plain[name]
    found = diff(write(tmp_path / "a", plain, config), write(tmp_path / "b", other, config))
    assert found.verdict.text == "same weights in another form (1 weight with other bytes)"
    assert found.ok
