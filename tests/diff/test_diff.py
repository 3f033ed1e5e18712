"""What `diff` says of pairs whose relation is known, and its figures against NumPy in float64."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import weightscope
from weightscope.analyses.diff.result import Diff

FIXTURES = Path(__file__).parents[2] / "fixtures"
SMALL: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 128,
}  # fmt: skip
Tensors = dict[str, torch.Tensor]


def llama(seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**SMALL)).to(dtype)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    llama().save_pretrained(folder)
    return folder


def changed(source: Path, folder: Path, change: Callable[[Tensors], object]) -> Path:
    """A copy whose tensors `change` edits."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def diff(a: Path, b: Path) -> Diff:
    return weightscope.diff(a, b, values=True)


def test_the_same_files_are_identical(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "copy")
    found = diff(base, tmp_path / "copy")
    assert (found.verdict.kind, found.verdict.text, found.ok, found.findings) == ("identical", "identical", True, ())
    assert found.values
    assert {value.relative for value in found.values} == {0.0}


def test_other_shards_are_identical_too(base: Path, tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert diff(base, tmp_path).verdict.kind == "identical"


def pickled(base: Path, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(load_file(base / "model.safetensors"), folder / "pytorch_model.bin")


def renamed(base: Path, folder: Path) -> None:
    """As a base model is saved, without its root."""
    tensors = load_file(base / "model.safetensors")
    save_file({f"_orig_mod.{name}": tensor for name, tensor in tensors.items()}, folder / "model.safetensors")


def widened(base: Path, folder: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    save_file({name: tensor.float() for name, tensor in tensors.items()}, folder / "model.safetensors")


@pytest.mark.parametrize(("form", "words"), [(pickled, "safetensors and pytorch"), (widened, "BF16 and F32")])
def test_the_same_weights_in_another_form(
    form: Callable[[Path, Path], None], words: str, base: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    form(base, tmp_path)
    for pair in ((base, tmp_path), (tmp_path, base)):
        found = diff(*pair)
        assert (found.verdict.kind, found.ok) == ("same-weights", True)
    assert words in diff(base, tmp_path).verdict.text


def test_names_that_a_wrapper_changed(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    renamed(base, tmp_path)
    found = diff(base, tmp_path)
    assert (found.verdict.kind, found.ok) in [("identical", True), ("same-weights", True)]


@pytest.mark.parametrize(("one", "other"), [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float16)])
def test_rounding_is_no_training(one: torch.dtype, other: torch.dtype, tmp_path: Path) -> None:
    llama(0, torch.float32).to(one).save_pretrained(tmp_path / "a")
    llama(0, torch.float32).to(other).save_pretrained(tmp_path / "b")
    found = diff(tmp_path / "a", tmp_path / "b")
    assert found.verdict.kind == "rounded"
    assert not found.ok


def test_a_merge_that_changed_routers_too(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """5 rows may have any rank that a LoRA has: they neither tell of a merge nor against one."""
    shutil.copytree(saved("mixtral"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    torch.manual_seed(0)
    for name, tensor in tensors.items():
        if name.endswith(("q_proj.weight", "block_sparse_moe.gate.weight")):
            tensor.add_(0.1 * torch.randn(len(tensor), 2) @ torch.randn(2, tensor.shape[1]))
    save_file(tensors, tmp_path / "model.safetensors")
    verdict = diff(saved("mixtral"), tmp_path).verdict
    assert (verdict.kind, verdict.rank) == ("lora-merge", 2)


@pytest.mark.parametrize("name", ["wav2vec2", "zamba2"])
def test_rounding_of_what_a_weight_is_computed_from(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """A length and a direction, a matrix and a LoRA: what follows from rounded ones is not rounded itself."""
    shutil.copytree(saved(name), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({key: tensor.bfloat16() for key, tensor in tensors.items()}, tmp_path / "model.safetensors")
    assert diff(saved(name), tmp_path).verdict.kind == "rounded"


def test_a_fine_tune_with_a_frozen_part(base: Path, tmp_path: Path) -> None:
    def train(t: Tensors) -> None:
        torch.manual_seed(1)
        for name in t:
            if "mlp" in name:
                t[name] = (t[name].float() + 0.001 * torch.randn(t[name].shape)).to(t[name].dtype)

    found = diff(base, changed(base, tmp_path, train))
    assert found.verdict.kind == "fine-tune"
    assert "9 of 30 weights changed" in found.verdict.text
    assert "layers.{0–2}.attention.q_proj" in found.untouched
    assert not any("mlp" in title for title in found.untouched)
    (finding,) = found.findings
    assert (finding.code, finding.severity) == ("different", "error")


def test_figures_are_numpy_s(base: Path, tmp_path: Path) -> None:
    def train(t: Tensors) -> None:
        torch.manual_seed(1)
        for name in t:
            t[name] = (t[name].float() * 1.1 + 0.01 * torch.randn(t[name].shape)).to(t[name].dtype)

    found = diff(base, changed(base, tmp_path, train))
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path))
    held = {value.address: value for value in found.values or ()}
    for address, name in (
        ("layers.1.attention.k_proj", "model.layers.1.self_attn.k_proj.weight"),
        ("norm.final_norm", "model.norm.weight"),
        ("embedding.token_embedding", "model.embed_tokens.weight"),
    ):
        a, b = (tensors[name].double().numpy().reshape(-1) for tensors in (before, after))
        value = held[address]
        assert value.differing == np.count_nonzero(a != b)
        assert value.relative == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(a), rel=1e-12)
        assert value.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-12)
        assert value.largest == np.abs(a - b).max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("rank", [1, 4, 8])
def test_a_merged_lora(rank: int, dtype: torch.dtype, tmp_path: Path) -> None:
    llama(0, dtype).save_pretrained(tmp_path / "base")

    def merge(t: Tensors) -> None:
        torch.manual_seed(1)
        for name in t:
            if "q_proj" in name or "v_proj" in name:
                rows, columns = t[name].shape
                update = torch.randn(rows, rank) @ torch.randn(rank, columns)
                t[name] = (t[name].float() + 0.01 * update).to(dtype)

    found = diff(tmp_path / "base", changed(tmp_path / "base", tmp_path / "merged", merge))
    assert (found.verdict.kind, found.verdict.rank) == ("lora-merge", rank)
    assert found.verdict.text == f"a merge of a LoRA of rank {rank} (q_proj, v_proj)"
    assert {row.role: row.rank for row in found.roles or () if row.rank} == {"q_proj": rank, "v_proj": rank}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("step", [1.0, -1.0])
def test_norms_with_1_added_are_named(step: float, dtype: torch.dtype, tmp_path: Path) -> None:
    """As conversions of Gemma had it: the model adds 1 to its norms, and somebody stored them with the 1."""

    def random(t: Tensors) -> None:
        for name in t:
            if "norm" in name:
                t[name] = (torch.randn(64, generator=torch.Generator().manual_seed(len(name))) / 4).to(dtype)

    def add(t: Tensors) -> None:
        t.update({name: tensor + step for name, tensor in t.items() if "norm" in name})

    llama(dtype=dtype).save_pretrained(tmp_path / "plain")
    source = changed(tmp_path / "plain", tmp_path / "source", random)
    found = diff(source, changed(source, tmp_path / "added", add))
    side = "B" if step > 0 else "A"
    text = f"same weights but for their norms; 1 was added to the weights of 7 norms of {side}"
    assert (found.verdict.kind, found.verdict.text, found.ok) == ("norm-offset", text, False)


def test_norms_with_1_added_are_named_beside_training(base: Path, tmp_path: Path) -> None:
    def train(t: Tensors) -> None:
        name = "model.layers.0.mlp.up_proj.weight"
        t[name] = t[name] + torch.randn_like(t[name]) / 100
        t["model.norm.weight"] = t["model.norm.weight"] + 1

    found = diff(base, changed(base, tmp_path / "tuned", train))
    assert found.verdict.kind == "fine-tune"
    assert "1 was added to the weights of 1 norm of B" in found.verdict.text


def test_norms_that_were_trained_are_not_said_to_have_1_added(base: Path, tmp_path: Path) -> None:
    def train(t: Tensors) -> None:
        t["model.norm.weight"] = t["model.norm.weight"] + 1
        t["model.norm.weight"][3] += 0.5

    assert diff(base, changed(base, tmp_path / "tuned", train)).verdict.kind == "fine-tune"


def test_other_weights_of_the_same_shapes(base: Path, tmp_path: Path) -> None:
    llama(7).save_pretrained(tmp_path)
    assert diff(base, tmp_path).verdict.kind == "unrelated-values"


def test_one_matrix_that_was_replaced(base: Path, tmp_path: Path) -> None:
    """All others are the same: the models are not unrelated."""
    found = diff(base, changed(base, tmp_path, lambda t: t["lm_head.weight"].normal_()))
    assert found.verdict.kind == "fine-tune"
    assert found.verdict.text.startswith("a fine-tune: 1 of 30 weights changed by ")


def test_a_value_that_is_finite_in_one_model_alone(base: Path, tmp_path: Path) -> None:
    found = diff(base, changed(base, tmp_path, lambda t: t["lm_head.weight"][0, :1].fill_(torch.nan)))
    assert found.verdict.text == ("1 of 30 weights changed; 1 weight with values that are finite in one model alone")
    assert diff(tmp_path, tmp_path).verdict.kind == "identical"


def test_another_architecture(base: Path, tmp_path: Path) -> None:
    config = GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=128, n_positions=32)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    found = weightscope.diff(base, tmp_path)
    assert found.verdict.kind == "incompatible"
    assert any(change.address == "layers.0.attention.k_proj" for change in found.reshaped)
    assert {"layers.0.mlp.gate_proj"} <= set(found.removed)


def test_nothing_in_common(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_file({name: torch.ones(3)}, tmp_path / name / "model.safetensors")
    assert weightscope.diff(tmp_path / "a", tmp_path / "b").verdict.text == "unrelated: no weight in common"


def test_rows_of_a_vocabulary_that_were_added(base: Path, tmp_path: Path) -> None:
    model = llama()
    model.resize_token_embeddings(136, mean_resizing=False)
    model.save_pretrained(tmp_path)
    found = diff(base, tmp_path)
    assert {change.address: change.rows_added for change in found.reshaped} == {
        "embedding.token_embedding": 8,
        "head.lm_head": 8,
    }
    assert found.verdict.text == "same weights; 8 rows of the vocabulary added; config.json differs in vocab_size"
    assert not found.ok


def test_a_quantization(tmp_path: Path) -> None:
    """FP8 in blocks, quantized by hand as DeepSeek does."""
    llama(0, torch.float32).save_pretrained(tmp_path / "source")

    def quantize(t: Tensors) -> None:
        for name in list(t):
            if "_proj" in name:
                blocks = t[name].reshape(t[name].shape[0] // 32, 32, -1, 32)
                scale = blocks.abs().amax((1, 3)) / 448
                t[name] = (blocks / scale[:, None, :, None]).to(torch.float8_e4m3fn).reshape(t[name].shape)
                t[f"{name}_scale_inv"] = scale

    folder = changed(tmp_path / "source", tmp_path / "fp8", quantize)
    config = json.loads((folder / "config.json").read_text())
    settings = {"quant_method": "fp8", "weight_block_size": [32, 32]}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    found = diff(tmp_path / "source", folder)
    assert found.verdict.kind == "quantization"
    assert found.verdict.text.startswith("B is a quantization of A (FP8 in blocks of 32 × 32; relative error 2.")
    assert diff(folder, tmp_path / "source").verdict.text.startswith("A is a quantization of B")


@pytest.mark.parametrize(
    ("a", "b", "equal", "relative"),
    [
        ([1.0, np.nan], [1.0, np.nan], True, 0.0),
        ([1.0, np.nan], [1.0, 2.0], False, None),
        ([1.0, np.inf], [1.0, np.inf], True, 0.0),
        ([1.0, np.inf], [1.0, -np.inf], False, None),
        ([0.0, -0.0], [0.0, 0.0], True, 0.0),
        ([0.0, 0.0], [0.0, 1.0], False, None),
        ([3.0, 4.0], [3.0, 3.0], False, 0.2),
        ([], [], True, 0.0),
    ],
)
def test_odd_values(a: list[float], b: list[float], equal: bool, relative: float | None, tmp_path: Path) -> None:
    for name, values in (("a", a), ("b", b)):
        save_file({"w": torch.tensor(values), "n": torch.tensor(1)}, tmp_path / f"{name}.safetensors")
    found = diff(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    value = next(value for value in found.values or () if value.address == "w")
    assert (value.equal, value.relative) == (equal, relative)
    assert found.ok is equal


def test_a_view_and_its_copy(tmp_path: Path) -> None:
    whole = torch.arange(64.0).reshape(8, 8)
    torch.save({"w": whole.T, "rest": whole}, tmp_path / "a.bin")
    torch.save({"w": whole.T.contiguous(), "rest": whole.clone()}, tmp_path / "b.bin")
    assert diff(tmp_path / "a.bin", tmp_path / "b.bin").verdict.kind == "identical"


def test_fused_and_turned_weights_are_joined_by_role(tmp_path: Path) -> None:
    config = GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=16)
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "a")

    def change(t: Tensors) -> None:
        t["transformer.h.1.attn.c_attn.weight"][:, 32:64] += 1

    found = diff(tmp_path / "a", changed(tmp_path / "a", tmp_path / "b", change))
    assert [value.address for value in found.values or () if not value.equal] == ["layers.1.attention.k_proj"]


def test_configs_alone(base: Path, tmp_path: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    del config["rope_parameters"], config["rms_norm_eps"]
    for name, more in (("a", {}), ("b", {"rms_norm_eps": 1e-6}), ("c", {"intermediate_size": 128})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config | more))
    a, b, c = (tmp_path / name / "config.json" for name in ("a", "b", "c"))
    same = weightscope.diff(a, b)
    assert (same.verdict.kind, same.config) == ("same-shapes", ())
    other = weightscope.diff(a, c)
    assert [change.key for change in other.config] == ["intermediate_size"]
    assert {change.address for change in other.reshaped} == {
        f"layers.{layer}.mlp.{role}" for layer in range(3) for role in ("gate_proj", "up_proj", "down_proj")
    }
    with pytest.raises(weightscope.WeightscopeError, match="--values needs weights"):
        diff(a, b)


def test_progress_is_in_bytes(base: Path, tmp_path: Path) -> None:
    """Those of both files, which safetensors counts; BF16 and F32 are not the same number of elements."""
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    widened(base, tmp_path)
    calls: list[tuple[int, int]] = []
    weightscope.diff(base, tmp_path, values=True, progress=lambda done, total, name: calls.append((done, total)))
    stored = sum(
        tensor.nbytes for folder in (base, tmp_path) for tensor in load_file(folder / "model.safetensors").values()
    )
    assert calls[-1] == (stored, stored)


def test_what_is_known_when_it_is_stopped(base: Path) -> None:
    stop, calls = Event(), []

    def progress(done: int, total: int, name: str) -> None:
        calls.append(name)
        if len(calls) == 3:
            stop.set()

    found = weightscope.diff(base, base, values=True, progress=progress, stop=stop)
    assert (found.complete, found.ok, found.verdict.kind) == (False, False, "incomplete")
    assert 0 < len(found.values or ()) < 30


def test_nothing_more_is_read_once_it_is_stopped(base: Path, tmp_path: Path) -> None:
    """That 1 was added to norms is told by reading them again."""

    def add(t: Tensors) -> None:
        t.update({name: tensor + 1 for name, tensor in t.items() if "norm" in name})

    stop = Event()

    def progress(done: int, total: int, name: str) -> None:
        if "norm" in name:
            stop.set()

    added = changed(base, tmp_path / "added", add)
    assert "1 was added" in weightscope.diff(base, added, values=True).verdict.text
    found = weightscope.diff(base, added, values=True, progress=progress, stop=stop)
    assert any(not value.equal for value in found.values or ())
    assert found.verdict.kind == "incomplete"
    assert "1 was added" not in found.verdict.text


def test_a_model_and_itself_quantized_are_each_identical() -> None:
    for name in ("deepseek-v3", "qwen3-mlx-4bit", "mixtral", "llava"):
        assert diff(FIXTURES / name, FIXTURES / name).verdict.kind == "identical"
