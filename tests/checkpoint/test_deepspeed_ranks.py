"""DeepSpeed's ranks that split a model, layers of a pipeline and experts in files of their own are one model again.

`fixtures/runs/expected/pipe.safetensors` is what `ds_to_universal` made of fixtures/runs/pipe. Elsewhere the parts are
cut by torch, as Megatron-DeepSpeed and AutoTP cut them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import weightscope
from weightscope.errors import NotImplementedByWeightscope

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"
Tensors = dict[str, torch.Tensor]


def test_a_pipeline_has_the_values_that_deepspeeds_converter_gives() -> None:
    model = weightscope.open(RUNS / "pipe")
    expected = load_file(RUNS / "expected" / "pipe.safetensors")
    assert set(model.tensors) == set(expected)
    for name, tensor in model.tensors.items():
        assert torch.equal(tensor.torch(), expected[name]), name


def test_inspect_says_what_lies_beside_a_pipeline(run: Any) -> None:
    code, out, _ = run("inspect", RUNS / "pipe", "--format", "json")
    training = json.loads(out)["training"]
    assert (code, training["step"], training["world_size"]) == (0, 1, 4)
    parts = {part["kind"]: part for part in training["parts"]}
    # Norms and biases after the second matrix are on both ranks: 4 bytes for each, and what rounds the vectors up.
    count = sum(tensor.numel() for tensor in load_file(RUNS / "expected" / "pipe.safetensors").values())
    assert 4 * count <= parts["master_weights"]["bytes"] < 4 * (count + 3 * 3 * 8 + 2 * 8 + 4 * 2)
    assert parts["optimizer"]["moments"] == ["exp_avg", "exp_avg_sq"]


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("layer_02-model_01-model_states.pt", "1 of 10 files of layers are missing: layer_02-model_01-model_states.pt"),
        ("mp_rank_01_model_states.pt", "1 of 2 ranks that split the model are missing: mp_rank_01"),
    ],
)
def test_what_is_missing_is_named(lost: str, words: str, tmp_path: Path, run: Any) -> None:
    folder = shutil.copytree(RUNS / ("pipe" if "layer" in lost else "tensors"), tmp_path / "run")
    next(folder.glob(f"*/{lost}")).unlink()
    code, out, _ = run("check", folder)
    assert code == 1
    assert words in " ".join(out.split())


def save(folder: Path, ranks: list[Tensors], **more: Any) -> None:
    """Files of ranks without ZeRO."""
    for rank, module in enumerate(ranks):
        own = {name: tensor.clone() for name, tensor in module.items()}
        torch.save({"module": own, "global_steps": 5, **more}, folder / f"mp_rank_{rank:02}_model_states.pt")


def assert_is(folder: Path, expected: Tensors) -> None:
    tensors = weightscope.open(folder).tensors
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        assert torch.equal(tensor.torch(), expected[name]), name
        assert torch.equal(tensor.torch(slice(1, 3)), expected[name][1:3]), name


def test_megatrons_names_tell_how_they_are_split(tmp_path: Path) -> None:
    up, down, qkv, norm = torch.randn(12, 8), torch.randn(8, 6), torch.randn(24, 8), torch.randn(8)
    names = [
        f"language_model.encoder.layers.0.{name}" for name in ("mlp.dense_h_to_4h.weight", "mlp.dense_4h_to_h.weight")
    ]
    other = [
        f"language_model.encoder.layers.0.{name}" for name in ("self_attention.query_key_value.weight", "norm.weight")
    ]
    whole = dict(zip([*names, *other], (up, down, qkv, norm), strict=True))
    ranks = [
        {
            # Gate and up, of which each rank has a part.
            names[0]: torch.cat([half.chunk(2)[rank] for half in up.chunk(2)]),
            names[1]: down.chunk(2, 1)[rank],
            other[0]: qkv.chunk(2)[rank],
            other[1]: norm,
        }
        for rank in range(2)
    ]
    save(tmp_path, ranks)
    assert_is(tmp_path, whole)


def test_the_optimizers_of_all_ranks_are_counted(tmp_path: Path, run: Any) -> None:
    save(
        tmp_path, [{"lm_head.dense.weight": torch.ones(2, 2)}] * 2, optimizer={"state": {0: {"exp_avg": torch.ones(5)}}}
    )
    _, out, _ = run("inspect", tmp_path, "--format", "json")
    assert [(part["kind"], part["bytes"]) for part in json.loads(out)["training"]["parts"]] == [("optimizer", 40)]


def test_a_name_without_a_rule_is_refused(tmp_path: Path) -> None:
    save(tmp_path, [{"model.mixer.weight": torch.ones(2, 2)}] * 2)
    with pytest.raises(NotImplementedByWeightscope, match=r"model\.mixer\.weight is split over tensor-parallel ranks"):
        weightscope.open(tmp_path)


def test_a_universal_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "zero" / "a.weight").mkdir(parents=True)
    save(tmp_path, [{}], param_shapes=[{}])
    with pytest.raises(NotImplementedByWeightscope, match="a universal checkpoint of DeepSpeed"):
        weightscope.open(tmp_path)


# Queries, keys and values of 3 heads of 2 over 2 ranks: uneven parts, as AutoTP cuts them.
WIDTHS = [[4, 2], [4, 2], [4, 2]]


@pytest.mark.parametrize("said", [True, False])
def test_matrices_in_one_parameter_go_together_by_their_widths(said: bool, tmp_path: Path) -> None:
    each = WIDTHS if said else [[3, 3]] * 3
    whole = torch.randn(18, 4)
    ranks: list[Tensors] = [
        {
            "attn.qkv.weight": torch.cat(
                [torch.split(part, widths)[rank] for part, widths in zip(torch.chunk(whole, 3), each, strict=True)]
            )
        }
        for rank in range(2)
    ]
    pattern = r"^attn\.qkv\.weight$"
    info = {
        "parameter_with_sub_params": [{"patterns": [pattern], "shape": [(6, 6, 6), -1], "partition_dim": 0}],
        "parameter_with_row_parallelism_patterns": [],
    } | ({"sub_param_shard_widths": {pattern: WIDTHS}} if said else {})
    save(tmp_path, ranks, universal_checkpoint_info=info)
    assert_is(tmp_path, {"attn.qkv.weight": whole})


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"tp_replicated_parameter_patterns": ["(a+)+b"]}, "an expression that is not matched here"),
        ({"tp_replicated_parameter_patterns": [".*" * 9 + "b"]}, "an expression that is not matched here"),
        ({"tp_replicated_parameter_patterns": [], "autotp_unsupported_parameter_patterns": {"a": "x"}}, "cannot put"),
        ({"parameter_with_sub_params": [{"patterns": ["a"], "shape": [3, -1], "partition_dim": 1}]}, "by columns"),
        (
            {"parameter_with_sub_params": [{"patterns": ["a"], "shape": [(3, 3)], "partition_dim": 0}]},
            "does not say how",
        ),
        ({"parameter_with_sub_params": ["a"]}, "by columns"),
    ],
)
def test_rules_that_are_not_undone_are_refused(info: dict[str, Any], words: str, tmp_path: Path) -> None:
    save(tmp_path, [{"a": torch.ones(2)}] * 2, universal_checkpoint_info=info)
    with pytest.raises(NotImplementedByWeightscope, match=words):
        weightscope.open(tmp_path)


def test_experts_in_files_of_their_own(tmp_path: Path, run: Any) -> None:
    """As `_save_moe_checkpoint` lays them out."""
    save(tmp_path, [{"embed.weight": torch.ones(3, 2)}])
    full = {"embed.weight": torch.ones(3, 2)}
    for layer, expert in ((0, 0), (0, 1), (1, 0), (1, 1)):
        name = f"layers.{layer}.mlp.deepspeed_moe.experts.deepspeed_experts.{expert}.w.weight"
        full[name] = torch.full((2, 2), 10.0 * layer + expert)
        torch.save({name: full[name]}, tmp_path / f"layer_{layer}_expert_{expert}_mp_rank_00_model_states.pt")
    torch.save({"optimizer": {"exp_avg": torch.ones(4)}}, tmp_path / "expp_rank_0_mp_rank_00_optim_states.pt")
    assert_is(tmp_path, full)
    _, out, _ = run("inspect", tmp_path, "--format", "json")
    assert [part["bytes"] for part in json.loads(out)["training"]["parts"]] == [16]
