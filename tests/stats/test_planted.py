"""What `stats` finds in models with one fault planted by hand, and that it finds nothing in the same models without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

import weightscope
from tests.quantization.test_modelopt import Export, of_tomorrow
from weightscope.analyses.stats.result import Stats

Tensors = dict[str, torch.Tensor]
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight layers of transformers' own random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("llama")
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=128,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def planted(source: Path, folder: Path, plant: Callable[[Tensors], object]) -> Stats:
    """The figures of a copy, changed by `plant`."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    tensors = load_file(source / "model.safetensors")
    plant(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return weightscope.open(folder).stats()


def layer(number: int) -> Callable[[str], bool]:
    return lambda name: f"layers.{number}." in name


def test_a_sound_model_has_no_findings(llama: Path) -> None:
    stats = weightscope.open(llama).stats()
    assert (stats.findings, stats.duplicates, stats.complete, stats.ok) == ((), (), True, True)
    assert [row.layer for row in stats.layers] == list(range(8))
    assert all(len(row.rms) == 8 for row in stats.roles if row.stack)


def test_one_nan(llama: Path, tmp_path: Path) -> None:
    def plant(t: Tensors) -> None:
        t["model.layers.5.mlp.up_proj.weight"][95, 63] = float("nan")

    stats = planted(llama, tmp_path, plant)
    (finding,) = stats.findings
    assert (finding.code, finding.severity) == ("non-finite", "error")
    assert (stats.ok, stats.complete) == (False, True)
    assert finding.tensors == ("model.layers.5.mlp.up_proj.weight",)


def test_a_copied_layer(llama: Path, tmp_path: Path) -> None:
    def plant(t: Tensors) -> None:
        t.update({name: t[name.replace("layers.6.", "layers.2.")].clone() for name in t if layer(6)(name)})

    stats = planted(llama, tmp_path, plant)
    (finding,) = stats.findings
    assert finding.code == "value-outlier"
    assert finding.message.startswith("layer 6 of model.layers is a copy of layer 2")
    assert ("model.layers.2.mlp.up_proj.weight", "model.layers.6.mlp.up_proj.weight") in stats.duplicates


def test_one_copied_matrix_is_no_copied_layer(llama: Path, tmp_path: Path) -> None:
    def plant(t: Tensors) -> None:
        t["model.layers.3.mlp.up_proj.weight"] = t["model.layers.1.mlp.up_proj.weight"].clone()

    stats = planted(llama, tmp_path, plant)
    assert stats.findings == ()
    assert stats.duplicates == (("model.layers.1.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),)


@pytest.mark.parametrize(("number", "factor", "word"), [(3, 10, "larger"), (0, 10, "larger"), (7, 0.1, "smaller")])
def test_a_scaled_layer(number: int, factor: float, word: str, llama: Path, tmp_path: Path) -> None:
    def plant(t: Tensors) -> None:
        t.update({name: t[name] * factor for name in t if layer(number)(name) and t[name].ndim == 2})

    (finding,) = planted(llama, tmp_path, plant).findings
    assert finding.code == "value-outlier"
    assert finding.message.startswith(f"layer {number} of model.layers: ")
    assert f"times {word} than" in finding.message
    assert len(list(finding.names)) == 7


def test_two_of_four(llama: Path, tmp_path: Path) -> None:
    """By magnitude, as pruning does."""

    def plant(t: Tensors) -> None:
        for name in t:
            if "mlp" in name:
                groups = t[name].reshape(-1, 4)
                t[name] = groups.masked_fill(groups.abs().argsort(-1).argsort(-1) < 2, 0).reshape(t[name].shape)

    rows = planted(llama, tmp_path, plant).tensors
    assert {row.zeros.pattern for row in rows if row.zeros and "mlp" in row.name} == {"2:4"}
    assert {row.zeros.pattern for row in rows if row.zeros and "mlp" not in row.name} == {None}


@pytest.mark.parametrize(("zeroed", "pattern"), [((0, 1, 2), "1:4"), ((0, 1, 4, 5), "2:4"), ((0, 1, 2, 4), "4:8")])
def test_patterns(zeroed: tuple[int, ...], pattern: str, llama: Path, tmp_path: Path) -> None:
    def plant(t: Tensors) -> None:
        size = 4 if len(zeroed) == 3 else 8
        t["lm_head.weight"].reshape(-1, size)[:, list(zeroed)] = 0

    rows = {row.name: row for row in planted(llama, tmp_path, plant).tensors}
    structure = rows["lm_head.weight"].zeros
    assert structure
    assert structure.pattern == pattern


def test_dead_rows_columns_and_heads(llama: Path, tmp_path: Path) -> None:
    """Four heads of 16 queries, two of keys."""

    def plant(t: Tensors) -> None:
        t["model.layers.1.self_attn.q_proj.weight"][16:32] = 0
        t["model.layers.1.self_attn.o_proj.weight"][:, 16:32] = 0
        t["model.layers.2.self_attn.k_proj.weight"][16:32] = -0.0
        t["model.layers.4.mlp.down_proj.weight"][:, [3, 5]] = 0
        t["model.layers.4.mlp.up_proj.weight"][[3, 5]] = 0

    stats = planted(llama, tmp_path, plant)
    rows = {row.name.removeprefix("model.layers."): row.zeros for row in stats.tensors if row.zeros}
    query, out, key = (rows[f"{n}.self_attn.{m}_proj.weight"] for n, m in ((1, "q"), (1, "o"), (2, "k")))
    assert (query.dead_rows, query.dead_columns, query.dead_heads) == (16, 0, (1,))
    assert (out.dead_rows, out.dead_columns, out.dead_heads) == (0, 16, (1,))
    assert key.dead_heads == (1,)
    assert (rows["4.mlp.down_proj.weight"].dead_columns, rows["4.mlp.up_proj.weight"].dead_rows) == (2, 2)
    assert [finding.message.partition(" has ")[2] for finding in stats.findings] == ["only zeros for 1 head: 1"] * 3


def test_a_zeroed_expert(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = MixtralConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=64, num_local_experts=4,
    )  # fmt: skip
    MixtralForCausalLM(config).save_pretrained(tmp_path / "source")

    def plant(t: Tensors) -> None:
        for part in ("w1", "w2", "w3"):
            t[f"model.layers.1.block_sparse_moe.experts.2.{part}.weight"].zero_()

    (finding,) = planted(tmp_path / "source", tmp_path / "dead", plant).findings
    assert finding.code == "all-zero"
    assert set(finding.names) == {f"model.layers.1.block_sparse_moe.experts.2.w{n}.weight" for n in (1, 2, 3)}


def test_a_zeroed_expert_of_a_stack(tmp_path: Path) -> None:
    """The experts of one layer in one tensor, as gpt-oss and Llama 4 store them."""
    stack = torch.randn(4, 16, 8)
    stack[2] = 0
    save_file({"model.layers.0.mlp.experts.gate_up_proj": stack}, tmp_path / "model.safetensors")
    stats = weightscope.open(tmp_path).stats()
    assert stats.tensors[0].zeros
    assert stats.tensors[0].zeros.dead_experts == (2,)


def test_quantized_weights_as_they_act() -> None:
    """The fixture's values were drawn with a deviation of 0.02; its codes are up to 448."""
    model = weightscope.open(FIXTURES / "deepseek-v3")
    acts, lies = model.stats(), model.stats(stored=True)
    name = "model.layers.0.self_attn.o_proj.weight"
    as_it_acts = next(row for row in acts.tensors if row.name == name)
    weight = model.tensors[name].numpy(dequantize=True).astype(np.float64)
    assert as_it_acts.figures.std == pytest.approx(weight.std())
    assert (as_it_acts.quantization, as_it_acts.shape) == ("FP8 in blocks of 8 × 8", weight.shape)
    as_it_lies = next(row for row in lies.tensors if row.name == name)
    assert as_it_lies.figures.absmax == np.abs(model.tensors[name].numpy().astype(np.float64)).max()
    assert len(lies.tensors) == len(model.tensors)
    assert not any("scale_inv" in row.name for row in acts.tensors)


QUANTIZED = sorted(path.parent for path in (FIXTURES / "quantized").rglob("config.json"))


# The blocks of one are others than its config says.
@pytest.mark.parametrize("folder", [p for p in QUANTIZED if p.name != "fp8-blocks"], ids=lambda path: path.name)
def test_all_quantized_models_can_be_read(folder: Path) -> None:
    """With scales of activations and caches beside the weights, which stay what they are."""
    stats = weightscope.open(folder).stats()
    assert [finding for finding in stats.findings if finding.severity == "error"] == []
    scales = {row.name: row.quantization for row in stats.tensors if row.name.endswith(("input_scale", "k_scale"))}
    assert set(scales.values()) <= {None}


def test_a_sample_says_so_and_reads_less(llama: Path) -> None:
    stats = weightscope.open(llama).stats(sample=256)
    assert stats.sample == 256
    assert max(row.figures.elements for row in stats.tensors) <= 256
    whole = {row.name: row.figures for row in weightscope.open(llama).stats().tensors}
    for row in stats.tensors:
        assert row.zeros is None
        if row.figures.std:
            assert row.figures.std == pytest.approx(whole[row.name].std, rel=0.5)


def test_what_is_known_when_it_is_stopped(llama: Path) -> None:
    stop, names = Event(), []

    def progress(done: int, total: int, name: str) -> None:
        names.append(name)
        if len(names) == 5:
            stop.set()

    stats = weightscope.open(llama).stats(progress=progress, stop=stop)
    assert not stats.complete
    assert 0 < len(stats.tensors) < 10


@pytest.mark.parametrize("command", ["stats", "lock", "diff"])
def test_a_file_that_changes_while_it_is_read(command: str, llama: Path, tmp_path: Path) -> None:
    """Its size stays the same: figures of a mixture of both would be of no model."""
    shutil.copytree(llama, tmp_path, dirs_exist_ok=True)
    model = weightscope.open(tmp_path)
    file = tmp_path / "model.safetensors"

    def write(*_: object) -> None:
        with file.open("r+b") as out:
            out.seek(-1, 2)
            out.write(b"\0")

    readings: dict[str, Callable[[], object]] = {
        "stats": lambda: model.stats(progress=write),
        "lock": lambda: model.lock(progress=write),
        "diff": lambda: weightscope.diff(llama, model, values=True, progress=write),
    }
    with pytest.raises(weightscope.WeightscopeError, match=r"model\.safetensors: changed while it was read"):
        readings[command]()


def test_a_file_that_was_cut_short_meanwhile(llama: Path, tmp_path: Path) -> None:
    shutil.copytree(llama, tmp_path, dirs_exist_ok=True)
    model = weightscope.open(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5000])
    stats = model.stats()
    assert [finding.code for finding in stats.findings] == ["truncated-file"]
    assert 0 < len(stats.tensors) < len(model.tensors)


def test_no_weights() -> None:
    with pytest.raises(weightscope.WeightscopeError, match="stats needs weights"):
        weightscope.open(FIXTURES / "llama" / "config.json").stats()


def test_json_holds_no_infinity(llama: Path, tmp_path: Path) -> None:
    import msgspec

    text = msgspec.json.encode(planted(llama, tmp_path, lambda t: t["lm_head.weight"].fill_(float("inf"))))
    (head,) = (row for row in json.loads(text)["tensors"] if row["name"] == "lm_head.weight")
    assert head["figures"]["positive_infinite"] == 128 * 64
    assert head["figures"]["max"] is None


def test_a_method_that_is_only_named_is_looked_at_as_it_is_stored(tmp_path: Path) -> None:
    model = weightscope.open(of_tomorrow(Export("int4-awq"), tmp_path))
    with pytest.raises(weightscope.WeightscopeError, match="not implemented; stats --stored looks"):
        model.stats()
    assert len(model.stats(stored=True).tensors) == len(model.tensors)
