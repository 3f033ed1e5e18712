"""What ranks of a training run wrote is one model, with the values that the writers' own converters make of it.

`fixtures/runs/expected` is what `zero_to_fp32`, `ds_to_universal` and `dcp_to_torch_save` gave; `fixtures/runs/make.py`
says how.
"""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import weightscope
from weightscope.errors import WeightscopeError

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"
FOLDERS = ("zero-1", "zero-2", "zero-3", "fsdp", "tensors", "lightning")
ZEROS = FOLDERS[:3]
# How many ranks wrote each, and after how many steps.
WORLD = {
    "zero-1": (2, 2),
    "zero-2": (3, 2),
    "zero-3": (3, 2),
    "fsdp": (2, 1),
    "tensors": (2, 1),
    "lightning": (None, 1),
}
FORMATS = {"fsdp": "dcp", "lightning": "pytorch"}
EXPECTED = {"float32": "F32", "bfloat16": "BF16"}


def copied(name: str, tmp_path: Path) -> Path:
    folder = tmp_path / name
    shutil.copytree(RUNS / name, folder)
    return folder


@pytest.fixture(params=FOLDERS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, dict[str, torch.Tensor]]:
    name = str(request.param)
    return name, copied(name, tmp_path), load_file(RUNS / "expected" / f"{name}.safetensors")


def test_every_weight_has_the_values_that_the_writers_converter_gives(saved: Any) -> None:
    _, folder, expected = saved
    model = weightscope.open(folder)
    assert set(model.tensors) == set(expected)
    for name, tensor in model.tensors.items():
        assert (tensor.shape, tensor.dtype) == (tuple(expected[name].shape), EXPECTED[str(expected[name].dtype)[6:]])
        assert torch.equal(tensor.torch(), expected[name]), name
        assert torch.equal(tensor.torch(slice(1, 3)), expected[name][1:3])
        np.testing.assert_array_equal(tensor.numpy().astype(np.float32), expected[name].float().numpy())


def test_it_is_checked_and_computed_as_any_model(saved: Any, run: Any) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    _, folder, expected = saved
    model = weightscope.open(folder)
    assert {finding.severity for finding in model.check(values=True)} <= {"info"}
    theirs = LlamaForCausalLM(LlamaConfig.from_pretrained(folder)).eval()
    theirs.load_state_dict({name: tensor.float() for name, tensor in expected.items()}, strict=False)
    assert model.parameters.total == sum(weight.numel() for weight in theirs.parameters())
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    with torch.no_grad():
        wanted = theirs(torch.tensor([ids])).logits[0].numpy()
    found = model.forward(ids).logits.numpy()
    assert np.abs(np.asarray(found) - wanted).max() < 1e-4 * np.sqrt((wanted**2).mean())


def test_inspect_says_how_far_the_run_is_and_what_lies_beside(saved: Any, run: Any) -> None:
    name, folder, expected = saved
    code, out, _ = run("inspect", folder, "--format", "json")
    assert code == 0
    said = json.loads(out)
    training = said["training"]
    assert (training["world_size"], training["step"]) == WORLD[name]
    assert training["optimizer"] == "Adam or AdamW"
    parts = {part["kind"]: part for part in training["parts"]}
    assert parts["optimizer"]["moments"] == ["exp_avg", "exp_avg_sq"]
    trained = sum(
        tensor.numel()
        for name, tensor in expected.items()
        if tensor.dtype == torch.float32 and name != "lm_head.weight"
    )
    # Two float32 numbers for each weight that is trained, and steps, and what rounds the vectors up.
    assert 8 * trained <= parts["optimizer"]["bytes"] < 8 * trained + 600
    assert said["model"]["format"] == FORMATS.get(name, "deepspeed")
    # One file keeps the tied head as another name of the same bytes.
    once = {key: tensor for key, tensor in expected.items() if name != "lightning" or key != "lm_head.weight"}
    assert sum(share["bytes"] for share in said["dtypes"]) == sum(tensor.nbytes for tensor in once.values())
    code, out, _ = run("inspect", folder)
    assert "Adam or AdamW" in out
    assert "optimizer state" in out


def test_the_last_step_of_a_runs_folder_is_read(tmp_path: Path, run: Any) -> None:
    """As transformers' Trainer nests FSDP's parts, two steps of them, with the config above."""
    for step in (9, 10):
        inner = tmp_path / f"checkpoint-{step}" / "pytorch_model_fsdp_0"
        inner.mkdir(parents=True)
        for path in (RUNS / "fsdp").glob("*.distcp" if step == 10 else "nothing"):
            shutil.copy(path, inner)
        shutil.copy(RUNS / "fsdp" / ".metadata", inner)
    shutil.copy(RUNS / "fsdp" / "config.json", tmp_path)
    model = weightscope.open(tmp_path)
    assert len(model.tensors) == 21
    assert model.config is not None
    code, _, err = run("check", tmp_path)
    assert (code, err) == (0, "")
    assert "checkpoint-10 is read, the last step in" in run("inspect", tmp_path)[1]


def test_the_last_step_of_trainer_is_read_unless_the_run_has_a_model_itself(tmp_path: Path) -> None:
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        torch.save({f"step_{step}.weight": torch.ones(step)}, tmp_path / f"checkpoint-{step}" / "pytorch_model.bin")
    assert list(weightscope.open(tmp_path).tensors) == ["step_10.weight"]
    assert list(weightscope.open(tmp_path / "checkpoint-2").tensors) == ["step_2.weight"]
    torch.save({"last.weight": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    assert list(weightscope.open(tmp_path).tensors) == ["last.weight"]


def test_a_run_within_a_step_of_another_is_its_own_folder(tmp_path: Path) -> None:
    inner = tmp_path / "checkpoint-2" / "checkpoint-5"
    inner.mkdir(parents=True)
    torch.save({"a.weight": torch.ones(3)}, inner / "pytorch_model.bin")
    assert weightscope.open(tmp_path).checkpoint.path == inner
    assert weightscope.open(tmp_path / "checkpoint-2").checkpoint.path == inner


def test_deepspeeds_latest_names_the_step(tmp_path: Path) -> None:
    folder = copied("zero-2", tmp_path)
    (folder / "global_step2").rename(folder / "best")
    (folder / "global_step7").mkdir()
    (folder / "latest").write_text("best")
    assert len(weightscope.open(folder).tensors) == 20


@pytest.mark.parametrize("name", ZEROS)
def test_a_missing_rank_of_zero_is_named_and_what_it_holds_left_out(name: str, tmp_path: Path, run: Any) -> None:
    folder = copied(name, tmp_path)
    next((folder / "global_step2").glob("*pp_rank_1_*optim_states.pt")).unlink()
    code, out, _ = run("check", folder, "--format", "json")
    findings = json.loads(out)["findings"]
    assert code == 1
    assert next(f for f in findings if f["code"] == "missing-shard")["message"].startswith("1 of the ")
    assert any("lie in files that are not here" in f["message"] for f in findings)
    for tensor in weightscope.open(folder).tensors.values():
        tensor.numpy()


def test_a_missing_rank_of_a_distributed_checkpoint(tmp_path: Path, run: Any) -> None:
    folder = copied("fsdp", tmp_path)
    (folder / "__1_0.distcp").unlink()
    code, out, _ = run("check", folder, "--format", "json")
    findings = json.loads(out)["findings"]
    assert code == 1
    assert findings[0]["message"] == "1 of 2 files that .metadata names are missing: __1_0.distcp"
    assert not any(f["code"] == "missing-tensor" for f in findings)


@pytest.mark.filterwarnings("ignore:torch.distributed is")
@pytest.mark.parametrize(
    ("beside", "step"),
    [
        ({"step": 12}, 12),
        ({"train_state": {"step": torch.tensor(7, dtype=torch.int32), "ntokens_seen": torch.tensor(900)}}, 7),
        ({"app": {"global_step": torch.tensor([5])}}, 5),
        ({"loop": {"batches_seen": 40, "max_steps": 90}}, 40),
        ({"trainerState": {"currentStep": torch.tensor(3)}, "warmup_steps": 10}, 3),
        ({"my": {"step_a": 3, "step_b": 4}}, None),
        ({"step": "12"}, None),
        ({"step": -1}, None),
        ({"optimizer": {"state": {"a": {"step": torch.tensor(4), "exp_avg": torch.ones(3)}}}}, None),
    ],
)
def test_the_step_that_a_script_saved_beside_the_weights(
    beside: dict[str, Any], step: int | None, tmp_path: Path, run: Any
) -> None:
    from torch.distributed.checkpoint.state_dict_saver import save

    save({"model": {"a": torch.ones(3)}, **beside}, checkpoint_id=tmp_path)
    code, out, _ = run("inspect", tmp_path, "--format", "json")
    assert code == 0
    assert json.loads(out)["training"]["step"] == step
    assert list(weightscope.open(tmp_path).tensors) == ["a"]


def test_parts_without_what_describes_them(tmp_path: Path, run: Any) -> None:
    folder = copied("fsdp", tmp_path)
    (folder / ".metadata").unlink()
    code, _, err = run("inspect", folder)
    assert code == 2
    assert err.count("\n") == 1
    assert "no .metadata" in err
    folder = copied("zero-3", tmp_path)
    for path in (folder / "global_step2").glob("*model_states.pt"):
        path.unlink()
    code, _, err = run("inspect", folder)
    assert code == 2
    assert err.count("\n") == 1
    assert "no *_model_states.pt" in err


def test_a_part_that_is_cut_short(tmp_path: Path, run: Any) -> None:
    folder = copied("fsdp", tmp_path)
    part = folder / "__0_0.distcp"
    part.write_bytes(part.read_bytes()[:-1000])
    code, out, _ = run("check", folder)
    assert code == 1
    assert "truncated-file" in out
    assert "ends 1,000 bytes before what .metadata says" in " ".join(out.split())


def test_vectors_of_another_save_do_not_fill_the_parameters(tmp_path: Path, run: Any) -> None:
    """The ranks' vectors are longer than the parameters by more than their padding."""
    folder = copied("zero-2", tmp_path)
    states = folder / "global_step2" / "mp_rank_00_model_states.pt"
    saved = torch.load(states, weights_only=False)
    saved["param_shapes"][0].popitem()
    torch.save(saved, states)
    code, out, _ = run("check", folder)
    assert code == 1
    assert "elements that no parameter has" in " ".join(out.split())


class Odd:
    """Pickled as a call that nothing may run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("no",))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Odd(), "builtins.print"),
        ({}, "where a Metadata is to be"),
        ([1], "where a Metadata is to be"),
    ],
)
def test_hostile_metadata(made: Any, words: str, tmp_path: Path, run: Any) -> None:
    (tmp_path / "__0_0.distcp").write_bytes(b"x")
    (tmp_path / ".metadata").write_bytes(pickle.dumps(made))
    code, _, err = run("inspect", tmp_path)
    assert code == 2
    assert err.count("\n") == 1
    assert words in err


def test_metadata_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    folder = copied("fsdp", tmp_path)
    raw = (folder / ".metadata").read_bytes()
    assert b"__1_0.distcp" in raw
    (folder / ".metadata").write_bytes(raw.replace(b"__1_0.distcp", b"../../../etc"))
    with pytest.raises(WeightscopeError, match="outside the folder") as caught:
        weightscope.open(folder)
    assert caught.value.code == "unsafe-path"


def test_what_trainer_keeps_beside_the_weights(tmp_path: Path, run: Any) -> None:
    net = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(4)).sum().backward()
    optimizer.step()
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    torch.save(torch.optim.lr_scheduler.ConstantLR(optimizer).state_dict(), tmp_path / "scheduler.pt")
    torch.save({"cpu": torch.get_rng_state(), "numpy": np.random.get_state()}, tmp_path / "rng_state.pth")
    state = {"epoch": 1.5, "global_step": 1234, "log_history": [{"loss": 2.0}]}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    code, out, _ = run("inspect", tmp_path, "--format", "json")
    assert code == 0
    training = json.loads(out)["training"]
    assert (training["writer"], training["step"], training["epoch"]) == ("transformers' Trainer", 1234, 1.5)
    parts = {part["name"]: part for part in training["parts"]}
    # Two moments of twelve weights and three biases, in float32, and the two steps.
    assert parts["optimizer.pt"]["bytes"] == 2 * 4 * 15 + 2 * 4
    assert parts["rng_state.pth"]["bytes"] == torch.get_rng_state().numel()
    assert parts["rng_state.pth"]["kind"] == "random_state"
    assert json.loads(out)["parameters"]["total"] == 15


@pytest.mark.filterwarnings("ignore:torch.distributed is")
def test_fsdp_keeps_its_optimizer_in_a_folder_beside(tmp_path: Path, run: Any) -> None:
    """As accelerate's `save_fsdp_model` and `save_fsdp_optimizer` name the folders."""
    from torch.distributed.checkpoint.state_dict_saver import save

    state = {"exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3), "step": torch.tensor(1.0)}
    save({"model": {"a": torch.ones(3)}}, checkpoint_id=tmp_path / "pytorch_model_fsdp_0")
    save({"optimizer": {"state": {"a": state}}}, checkpoint_id=tmp_path / "optimizer_0")
    code, out, _ = run("inspect", tmp_path, "--format", "json")
    training = json.loads(out)["training"]
    assert (code, training["optimizer"]) == (0, "Adam or AdamW")
    assert [(part["kind"], part["bytes"]) for part in training["parts"]] == [("optimizer", 28)]
    (tmp_path / "optimizer_0" / ".metadata").write_bytes(b"junk")
    _, out, _ = run("inspect", tmp_path, "--format", "json")
    parts = json.loads(out)["training"]["parts"]
    assert [(part["name"], part["kind"], part["bytes"]) for part in parts] == [("optimizer_0", "optimizer", 0)]


def test_lightning_says_its_step_and_epoch(tmp_path: Path, run: Any) -> None:
    """The keys that Lightning 2 dumps: `dump_checkpoint` in its checkpoint connector."""
    net = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), momentum=0.9)
    net(torch.ones(4)).sum().backward()
    optimizer.step()
    torch.save(
        {
            "epoch": 2, "global_step": 30, "pytorch-lightning_version": "2.5.0", "state_dict": net.state_dict(),
            "loops": {}, "callbacks": {}, "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [],
        },
        tmp_path / "last.ckpt",
    )  # fmt: skip
    code, out, _ = run("inspect", tmp_path / "last.ckpt", "--format", "json")
    assert code == 0
    training = json.loads(out)["training"]
    assert (training["writer"], training["step"], training["epoch"]) == ("Lightning", 30, 2)
    assert training["optimizer"] == "SGD or Muon with momentum"
    assert [(part["kind"], part["bytes"]) for part in training["parts"]] == [("optimizer", 60)]


def test_of_a_tensor_in_several_files_the_first_is_named(run: Any) -> None:
    code, out, _ = run("tensors", RUNS / "fsdp", "*embed_tokens*", "--format", "json")
    assert code == 0
    assert json.loads(out)["tensors"][0]["file"] == "__0_0.distcp and 1 more"
    _, out, _ = run("explain", RUNS / "fsdp", "model.embed_tokens.weight")
    assert "__0_0.distcp and 1 more" in out


def test_a_plain_checkpoint_has_no_state_of_a_run(run: Any) -> None:
    code, out, _ = run("inspect", RUNS.parent / "llama", "--format", "json")
    assert code == 0
    assert json.loads(out)["training"] is None


def megatron(folder: Path, *ranks: str) -> None:
    """A checkpoint as Megatron-LM's `save_checkpoint` lays it out."""
    import argparse

    for rank in ranks:
        place = folder / "iter_0000010" / rank
        place.mkdir(parents=True)
        weights = {"language_model": {"embedding": {"word_embeddings": {"weight": torch.ones(12, 4)}}}}
        torch.save(
            {"args": argparse.Namespace(hidden_size=4), "checkpoint_version": 3.0, "iteration": 10, "model": weights},
            place / "model_optim_rng.pt",
        )
    (folder / "latest_checkpointed_iteration.txt").write_text("10")


def test_megatron_on_one_rank(tmp_path: Path, run: Any) -> None:
    megatron(tmp_path, "mp_rank_00")
    code, out, err = run("inspect", tmp_path, "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert (said["training"]["writer"], said["training"]["step"]) == ("Megatron-LM", 10)
    assert said["parameters"]["total"] == 48


@pytest.mark.parametrize(
    "name", ["megatron.core.enums.ModelType", "megatron.core.transformer.enums.AttnBackend", "signal.Signals"]
)
def test_megatrons_small_classes_are_markers(name: str, tmp_path: Path) -> None:
    """An enum is pickled as a call of its class with the member's value."""
    module, _, kind = name.rpartition(".")
    call = f"c{module}\n{kind}\n".encode() + b"K\x01\x85R"
    torch.save(
        {"model": {"a.weight": torch.ones(2)}, "kind": "HERE"},
        tmp_path / "model.pt",
        _use_new_zipfile_serialization=False,
    )
    raw = (tmp_path / "model.pt").read_bytes()
    text = b"X\x04\x00\x00\x00HERE"
    at = raw.index(text)
    memo = raw[at + len(text) : at + len(text) + 2]
    assert memo[:1] == b"q"
    (tmp_path / "model.pt").write_bytes(raw[:at] + call + memo + raw[at + len(text) + 2 :])
    assert list(weightscope.open(tmp_path / "model.pt").tensors) == ["a.weight"]
