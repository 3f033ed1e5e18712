"""Megatron-LM's ranks hold one model: a state dict, cut by the published rules, is read as it was.

The rules are those of Megatron-LM's `tools/checkpoint/saver_base.py` and `saver_core.py`: which parameters are split
along which dimension, with gate and up apart; stages number their layers from 0.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from weightscope.errors import NotImplementedByWeightscope

WIDTH, GROUPS, HEAD, MLP, LAYERS, WORDS = 8, 4, 2, 12, 4, 16
# Queries of two heads, a key and a value for each group.
QKV = GROUPS * 4 * HEAD
# Part of the name -> the dimension that ranks split.
SPLIT = {
    "word_embeddings.weight": 0, "output_layer.weight": 0, "linear_qkv.weight": 0, "linear_qkv.bias": 0,
    "linear_fc1.weight": 0, "linear_fc1.bias": 0, "linear_proj.weight": 1, "linear_fc2.weight": 1,
}  # fmt: skip
OLDER = {
    "decoder.": "language_model.encoder.", "embedding.": "language_model.embedding.", "linear_qkv": "query_key_value",
    "linear_proj": "dense", "linear_fc1": "dense_h_to_4h", "linear_fc2": "dense_4h_to_h",
    "output_layer": "language_model.output_layer",
}  # fmt: skip


def whole(*, gated: bool = True, tied: bool = False) -> dict[str, torch.Tensor]:
    """All parameters of a GPT of megatron.core."""
    torch.manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        "embedding.word_embeddings.weight": (WORDS, WIDTH),
        "embedding.position_embeddings.weight": (10, WIDTH),
    }
    for layer in range(LAYERS):
        shapes |= {
            f"decoder.layers.{layer}.{name}": shape
            for name, shape in {
                "self_attention.linear_proj.weight": (WIDTH, WIDTH),
                "self_attention.linear_proj.bias": (WIDTH,),
                "self_attention.linear_qkv.layer_norm_weight": (WIDTH,),
                "self_attention.linear_qkv.weight": (QKV, WIDTH),
                "self_attention.linear_qkv.bias": (QKV,),
                "pre_mlp_layernorm.weight": (WIDTH,),
                "mlp.linear_fc1.weight": (MLP * (1 + gated), WIDTH),
                "mlp.linear_fc1.bias": (MLP * (1 + gated),),
                "mlp.linear_fc2.weight": (WIDTH, MLP),
                "mlp.linear_fc2.bias": (WIDTH,),
            }.items()
        }
    shapes["decoder.final_layernorm.weight"] = (WIDTH,)
    if not tied:
        shapes["output_layer.weight"] = (WORDS, WIDTH)
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def part(name: str, tensor: torch.Tensor, rank: int, ranks: int, *, gated: bool) -> torch.Tensor:
    """What a tensor-parallel rank holds."""
    axis = next((axis for end, axis in SPLIT.items() if name.endswith(end)), None)
    if axis is None:
        return tensor
    if gated and "linear_fc1" in name:
        return torch.cat([half.chunk(ranks)[rank] for half in tensor.chunk(2)]).clone()
    return tensor.chunk(ranks, axis)[rank].clone()


def stage_of(name: str, stages: int) -> tuple[int, str]:
    """The stage that holds a parameter, and its name there."""
    if not name.startswith("decoder.layers."):
        return (0 if name.startswith("embedding") else stages - 1), name
    _, _, layer, rest = name.split(".", 3)
    each = LAYERS // stages
    return int(layer) // each, f"decoder.layers.{int(layer) % each}.{rest}"


def older(name: str) -> str:
    for new, old in OLDER.items():
        name = name.replace(new, old)
    return name


def save(
    folder: Path, full: dict[str, torch.Tensor], ranks: int, stages: int = 1, *, gated: bool = True, **more: Any
) -> None:
    """The files of `save_checkpoint` with `--ckpt-format torch`."""
    arguments = argparse.Namespace(tensor_model_parallel_size=ranks, pipeline_model_parallel_size=stages, **more)
    for rank in range(ranks):
        for stage in range(stages):
            place = folder / "iter_0000100" / (f"mp_rank_{rank:02}" + (f"_{stage:03}" if stages > 1 else ""))
            place.mkdir(parents=True)
            model = {}
            for name, tensor in full.items():
                at, here = stage_of(name, stages)
                if at == stage:
                    model[here] = part(name, tensor, rank, ranks, gated=gated)
            moments = {
                at: {"exp_avg": tensor + 1, "exp_avg_sq": tensor + 2} for at, tensor in enumerate(model.values())
            }
            state = {
                "args": arguments, "checkpoint_version": 3.0, "iteration": 100, "model": model,
                "optimizer": {"optimizer": {"state": moments}},
            }  # fmt: skip
            torch.save(state, place / "model_optim_rng.pt")
    (folder / "latest_checkpointed_iteration.txt").write_text("100")


def assert_is(folder: Path, expected: dict[str, torch.Tensor]) -> None:
    model = weightscope.open(folder)
    assert set(model.tensors) == set(expected)
    for name, tensor in model.tensors.items():
        assert tensor.shape == tuple(expected[name].shape), name
        assert torch.equal(tensor.torch(), expected[name]), name
        assert torch.equal(tensor.torch(slice(1, 3)), expected[name][1:3]), name
    assert model.parameters.total == sum(tensor.numel() for tensor in expected.values())
    assert {finding.code for finding in model.check(values=True)} == {"config-missing"}


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "plain"])
@pytest.mark.parametrize(("ranks", "stages"), [(1, 1), (2, 1), (4, 1), (1, 2), (2, 4)])
def test_what_was_cut_is_whole_again(ranks: int, stages: int, gated: bool, tmp_path: Path) -> None:
    full = whole(gated=gated)
    save(tmp_path, full, ranks, stages, gated=gated)
    assert_is(tmp_path, full)


def test_older_names(tmp_path: Path) -> None:
    full = whole(gated=False)
    renamed = {older(name): tensor for name, tensor in full.items()}
    save(tmp_path, full, 2, gated=False)
    for path in tmp_path.glob("*/*/model_optim_rng.pt"):
        saved = torch.load(path, weights_only=False)
        saved["model"] = {older(name): tensor for name, tensor in saved["model"].items()}
        torch.save(saved, path)
    assert_is(tmp_path, renamed)


def test_the_last_stages_copy_of_a_tied_embedding_is_not_counted(tmp_path: Path) -> None:
    full = whole(tied=True)
    head = {"output_layer.weight": full["embedding.word_embeddings.weight"]}
    save(tmp_path, full | head, 2, 2, untie_embeddings_and_output_weights=False)
    assert_is(tmp_path, full)


def test_grouped_experts_of_transformer_engine(tmp_path: Path) -> None:
    """Two tensor-parallel ranks, and two expert-parallel ones with two experts each."""
    matrices = {"linear_fc1": torch.randn(4, 2 * MLP, WIDTH), "linear_fc2": torch.randn(4, WIDTH, MLP)}
    experts = "decoder.layers.0.mlp.experts."
    for rank in range(2):
        for group in range(2):
            place = tmp_path / "iter_0000001" / f"mp_rank_{rank:02}_{group:03}"
            place.mkdir(parents=True)
            model = {}
            for own in range(2):
                up, down = (matrices[name][2 * group + own] for name in ("linear_fc1", "linear_fc2"))
                halves = [half.chunk(2)[rank] for half in torch.chunk(up, 2)]
                model[f"{experts}linear_fc1.weight{own}"] = torch.cat(halves)
                model[f"{experts}linear_fc2.weight{own}"] = down.chunk(2, 1)[rank].clone()
            arguments = argparse.Namespace(
                tensor_model_parallel_size=2, expert_model_parallel_size=2, pipeline_model_parallel_size=1
            )
            torch.save({"args": arguments, "checkpoint_version": 3.0, "model": model}, place / "model_optim_rng.pt")
    assert_is(
        tmp_path,
        {f"{experts}{name}.weight{number}": matrices[name][number] for name in matrices for number in range(4)},
    )


def test_chunks_of_an_interleaved_pipeline(tmp_path: Path) -> None:
    """Two stages with two chunks each: stage 0 has layers 0 and 2."""
    weights = [torch.full((2,), float(layer)) for layer in range(4)]
    for stage in range(2):
        place = tmp_path / "iter_0000001" / f"mp_rank_00_{stage:03}"
        place.mkdir(parents=True)
        chunks = {
            f"model{chunk}": {"decoder.layers.0.input_layernorm.weight": weights[2 * chunk + stage]}
            for chunk in range(2)
        }
        torch.save({"checkpoint_version": 3.0, "iteration": 1, **chunks}, place / "model_optim_rng.pt")
    tensors = weightscope.open(tmp_path).tensors
    found = {name: tensor.numpy()[0] for name, tensor in tensors.items()}
    assert found == {f"decoder.layers.{layer}.input_layernorm.weight": layer for layer in range(4)}


def test_inspect_says_how_far_the_run_is_and_what_lies_beside(tmp_path: Path, run: Any) -> None:
    full = whole()
    save(tmp_path, full, 2, 2)
    code, out, err = run("inspect", tmp_path, "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["model"]["format"] == "megatron"
    training = said["training"]
    assert (training["writer"], training["step"], training["world_size"]) == ("Megatron-LM", 100, 4)
    assert training["optimizer"] == "Adam or AdamW"
    # Two moments for each weight; what each rank has whole, it has moments of.
    both = sum(tensor.nbytes for name, tensor in full.items() if not any(name.endswith(end) for end in SPLIT))
    once = sum(tensor.nbytes for tensor in full.values()) - both
    assert training["parts"][0]["bytes"] == 2 * (2 * both + once)
    assert said["parameters"]["total"] == sum(tensor.numel() for tensor in full.values())
    _, out, _ = run("inspect", tmp_path)
    for role, count in (
        ("qkv_proj", QKV * (WIDTH + 1)),
        ("up_proj", 2 * MLP * (WIDTH + 1)),
        ("down_proj", WIDTH * (MLP + 1)),
    ):
        assert f"{role} ~ {2 * LAYERS} {LAYERS * count:,} " in " ".join(out.split())


def test_the_step_that_was_saved_last_is_read(tmp_path: Path) -> None:
    save(tmp_path, whole(), 2)
    (tmp_path / "iter_0000200" / "mp_rank_00").mkdir(parents=True)
    torch.save({"model": {"a.weight": torch.ones(1)}}, tmp_path / "iter_0000200" / "mp_rank_00" / "model_optim_rng.pt")
    assert len(weightscope.open(tmp_path).tensors) == len(whole())


@pytest.mark.parametrize("lost", ["mp_rank_00_001", "mp_rank_01_000", "mp_rank_01_001"])
def test_a_missing_rank_is_named(lost: str, tmp_path: Path, run: Any) -> None:
    save(tmp_path, whole(), 2, 2)
    (tmp_path / "iter_0000100" / lost / "model_optim_rng.pt").unlink()
    code, out, err = run("check", tmp_path, "--format", "json")
    findings = json.loads(out)["findings"]
    assert (code, err) == (1, "")
    name = lost.removesuffix("_000")
    assert findings[0]["message"] == f"1 of 4 ranks are missing: {name}"


def edit(folder: Path, rank: str, change: Any) -> None:
    path = folder / "iter_0000100" / rank / "model_optim_rng.pt"
    saved = torch.load(path, weights_only=False)
    change(saved)
    torch.save(saved, path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda saved: saved["model"].pop("output_layer.weight"), "output_layer.weight is not alike"),
        (
            lambda saved: saved["model"].update({"output_layer.weight": torch.ones(8, 7)}),
            "output_layer.weight is not alike",
        ),
        (
            lambda saved: saved["model"].update({"decoder.final_layernorm.weight": torch.ones(7)}),
            "final_layernorm.weight is not alike",
        ),
        (lambda saved: saved.update({"model": 3}), "contains no tensors"),
    ],
)
def test_ranks_that_do_not_go_together(change: Any, words: str, tmp_path: Path, run: Any) -> None:
    save(tmp_path, whole(), 2)
    edit(tmp_path, "mp_rank_01", change)
    code, _, err = run("inspect", tmp_path)
    assert code == 2
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda saved: saved["model"].update({"decoder.mixer.in_proj.weight": torch.ones(2)}), "decoder.mixer.in_proj"),
        (
            lambda saved: saved["model"].update({"decoder.layers.0.mlp.linear_fc2.weight": torch.ones(WIDTH, 4)}),
            "linear_fc1",
        ),
        (
            lambda saved: saved["model"].update({"decoder.layers.0.mlp.linear_fc1.weight": torch.tensor(1.0)}),
            "linear_fc1",
        ),
        (
            lambda saved: saved["model"].update({"decoder.layers.0.self_attention.linear_proj.weight": torch.ones(3)}),
            "linear_proj",
        ),
        (
            lambda saved: saved["args"].__dict__.update(num_experts=4, expert_tensor_parallel_size=1),
            "experts are split over other ranks than the rest",
        ),
    ],
)
def test_what_no_rule_is_known_for_is_refused_by_name(change: Any, words: str, tmp_path: Path) -> None:
    save(tmp_path, whole(), 2)
    for rank in ("mp_rank_00", "mp_rank_01"):
        edit(tmp_path, rank, change)
    with pytest.raises(NotImplementedByWeightscope, match=words):
        weightscope.open(tmp_path)


def test_state_of_transformer_engine_is_no_parameter(tmp_path: Path) -> None:
    full = whole()
    save(tmp_path, full, 2)
    for number, rank in enumerate(("mp_rank_00", "mp_rank_01")):
        extra = {"decoder.layers.0.mlp.linear_fc1._extra_state": torch.ones(number, dtype=torch.uint8)}
        edit(tmp_path, rank, lambda saved, extra=extra: saved["model"].update(extra))
    assert_is(tmp_path, full)


def test_a_damaged_file_of_the_optimizer_leaves_the_weights_readable(tmp_path: Path, run: Any) -> None:
    full = whole()
    save(tmp_path, full, 2)
    (tmp_path / "iter_0000100" / "mp_rank_00" / "distrib_optim.pt").write_bytes(b"junk")
    torch.save({0: {"exp_avg": torch.ones(9)}}, tmp_path / "iter_0000100" / "mp_rank_01" / "distrib_optim.pt")
    assert_is(tmp_path, full)
    _, out, _ = run("inspect", tmp_path, "--format", "json")
    parts = {part["name"]: part for part in json.loads(out)["training"]["parts"]}
    assert (parts["distrib_optim.pt"]["kind"], parts["distrib_optim.pt"]["bytes"]) == ("optimizer", 4 + 9 * 4)
