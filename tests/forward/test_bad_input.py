"""What cannot be run: one line that says what, where and what to do; exit code 2, no traceback."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

FIXTURES = Path(__file__).parents[2] / "fixtures"
Run = Callable[..., tuple[int, str, str]]


def fails(run: Run, *arguments: str | Path) -> str:
    status, out, error = run("forward", *arguments)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert "Traceback" not in error
    return error.removeprefix("weightscope: ").rstrip("\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tokens", "1,256"), "token 256 is outside the vocabulary (0 to 255)"),
        (("--tokens", "-1"), "token -1 is outside the vocabulary (0 to 255)"),
        (("--tokens", "1,two"), "--tokens: 'two' is not a token id; write --tokens 1,2,3"),
        (("--tokens", "9" * 50), "--tokens: '999999999999999999999999999999999999999 is not a token id"),
        (("--tokens", ","), "--tokens is empty; write --tokens 1,2,3"),
        (("--prompt", ""), "an empty prompt; give some text, or --tokens"),
        (("--prompt", "x"), "fixtures/llama: tokenizer.json is missing; it is needed to encode a prompt"),
        (("--tokens", "1", "--prompt", "x"), "--tokens and --prompt are mutually exclusive"),
        (("--prompt-file", "nowhere.txt"), "nowhere.txt: cannot be read (No such file or directory)"),
        (("--stop-after", "3"), "there is no layer 3; layers are 0 to 2"),
        (("--stop-after", "1", "--save-logits", "x.npy"), "--stop-after leaves no logits to save or compare"),
        (("--device", "tpu"), "no device 'tpu'; use cpu, cuda, mps or auto"),
        (("--device", "cpu:1"), "no device 'cpu:1'"),
        (("--rtol", "-1", "--expect", "fixtures/none.npy"), "--rtol -1.0 is not a tolerance; give a number from 0 up"),
        (
            ("--image", "x.png"),
            "this model does not take images",
        ),
        (("--expect", "nowhere.npy", "--tokens", "1"), "nowhere.npy: cannot be read as logits"),
    ],
)
def test_options(options: tuple[str, ...], said: str, run: Run) -> None:
    assert fails(run, "fixtures/llama", *options).startswith(said)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there(device: str, run: Run) -> None:
    kind = device.partition(":")[0]
    if (kind == "cuda" and torch.cuda.is_available()) or (kind == "mps" and torch.backends.mps.is_available()):
        pytest.skip("it is there")
    assert fails(run, "fixtures/llama", "--device", device).startswith(
        f"no {kind} device on this machine; use --device cpu"
    )


def test_auto_takes_what_there_is(run: Run) -> None:
    assert run("forward", "fixtures/llama", "--device", "auto")[0] == 0


def test_more_tokens_than_learned_positions(saved: Callable[[str], Path], run: Run) -> None:
    tokens = ",".join(["1"] * 38)
    assert fails(run, saved("gpt2"), "--tokens", tokens) == "38 tokens exceed the 37 learned positions; give at most 37"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("fixtures/llama/config.json", "fixtures/llama/config.json: forward needs weights, and there are none here"),
        ("fixtures/mini", "fixtures/mini: forward does not support this model (model type 'mini' is not declared)"),
        ("fixtures/llama/model.safetensors.index.json", None),
        ("fixtures/nowhere", "fixtures/nowhere"),
    ],
)
def test_models_that_cannot_be_run(model: str, said: str | None, run: Run) -> None:
    if said is None:
        assert run("forward", model)[0] == 0
    else:
        assert fails(run, model).startswith(said)


def test_a_missing_tensor_is_named_with_its_shape_before_anything_is_computed(
    changed: Callable[..., Path], run: Run
) -> None:
    name = "model.layers.2.mlp.up_proj.weight"
    error = fails(run, changed("llama", lambda state: state.pop(name)))
    assert (
        f"the forward pass needs {name} [52, 24] (up_proj), which is in none of the files; `weightscope check` says"
        in error
    )


def test_a_missing_expert_is_named_when_a_token_wants_it(changed: Callable[..., Path], run: Run) -> None:
    name = "model.layers.0.block_sparse_moe.experts.{}.w2.weight"
    directory = changed("mixtral", lambda state: [state.pop(name.format(i)) for i in range(5)])
    error = fails(run, directory)
    assert "needs model.layers.0.block_sparse_moe.experts." in error
    assert "w2.weight [24, 52] (down_proj), which is in none of the files" in error


def test_a_misshapen_tensor_is_named_with_its_shape(changed: Callable[..., Path], run: Run) -> None:
    name = "model.layers.1.mlp.up_proj.weight"

    def cut(state: dict[str, torch.Tensor]) -> None:
        state[name] = state[name][:-1]

    error = fails(run, changed("llama", cut))
    assert f"{name}: is [51, 24], but config.json gives [52, 24] (intermediate_size × hidden_size)" in error


def test_a_file_that_is_cut_while_it_is_read(changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import weightscope

    directory = changed("llama")
    model = weightscope.open(directory)
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(weightscope.WeightscopeError, match=r"model\.safetensors: ends .* bytes early"):
        model.forward([1, 2])


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("torch", "torch is not installed; install weightscope-cli[forward]"),
        ("tokenizers", "the tokenizers library is not installed; install weightscope-cli[forward], or give --tokens"),
        ("transformers", "transformers is not installed; pip install transformers, or leave out --compare"),
    ],
)
def test_what_is_not_installed(
    missing: str, said: str, with_tokenizer: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    options = {
        "torch": ("--tokens", "1"),
        "tokenizers": ("--prompt", "x"),
        "transformers": ("--tokens", "1", "--compare", "transformers"),
    }
    assert fails(run, with_tokenizer, *options[missing]).startswith(said)


def test_without_the_tokenizers_library_ids_serve(
    with_tokenizer: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    status, out, _ = run("forward", with_tokenizer)
    assert status == 0
    assert "tokenizer.json was not used: the tokenizers library is not installed." in out


def test_a_tokenizer_that_is_none(with_tokenizer: Path, run: Run) -> None:
    (with_tokenizer / "tokenizer.json").write_text('{"model": 5}')
    assert "tokenizer.json: is not a tokenizer (" in fails(run, with_tokenizer, "--prompt", "x")
    assert run("forward", with_tokenizer)[0] == 0


def test_transformers_cannot_load_one_file(run: Run, saved: Callable[[str], Path], tmp_path: Path) -> None:
    error = fails(run, "fixtures/qwen3-mlx-4bit", "--compare", "transformers")
    assert "transformers 5." in error


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a layer: one word, 130, and no thread that goes on reading."""
    import threading

    from weightscope.components.feed_forward.mlp import GatedMLP

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GatedMLP, "forward", interrupt)
    assert run("forward", "fixtures/llama") == (130, "", "weightscope: interrupted\n")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("weightscope-reader")]


def test_explain_answers_from_headers() -> None:
    import subprocess

    code = (
        "import sys; sys.argv = ['weightscope', 'explain', 'fixtures/llama', 'lm_head.weight']\n"
        "from weightscope.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'tokenizers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def with_settings(tmp_path: Path, fixture: str, **keys: Any) -> Path:
    """A fixture with other settings."""
    folder = tmp_path / fixture
    shutil.copytree(FIXTURES / fixture, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | keys))
    return folder


def test_settings_that_the_pass_cannot_be_computed_with(tmp_path: Path, run: Run) -> None:
    """torch is asked for the best 50 of a few groups."""
    model = with_settings(tmp_path, "deepseek-v3", topk_group=50)
    said = fails(run, model, "--tokens", "1,2")
    assert said.startswith(
        f"{model}/config.json: the forward pass cannot be computed with these settings (RuntimeError: selected"
    )
    assert said.endswith("; compare them with the original config.json")


def test_more_experts_are_chosen_than_there_are(tmp_path: Path, run: Run) -> None:
    model = with_settings(tmp_path, "mixtral", num_experts_per_tok=9)
    said = "a token uses 9 experts (num_experts_per_tok) of 4"
    assert said in fails(run, model, "--tokens", "1,2")
    assert said in " ".join(run("check", model)[1].split())


def test_an_epsilon_that_is_null_stops_the_pass_alone(tmp_path: Path, run: Run) -> None:
    """transformers builds such a model too, and fails when it computes."""
    shutil.copytree("fixtures/llama", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"rms_norm_eps": None}))
    assert run("inspect", tmp_path / "m")[0] == 0
    status, _, error = run("forward", tmp_path / "m", "--tokens", "1,2")
    assert (status, "'rms_norm_eps' is null, not a number" in error) == (2, True)
