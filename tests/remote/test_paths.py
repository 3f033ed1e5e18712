"""A path that does not exist: said at once, with the nearest one; the Hub is asked only for what it may have."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from huggingface_hub.utils import HFValidationError, validate_repo_id

import weightscope
from tests.remote.conftest import FIXTURES, Run
from tests.remote.hub import Hub, stalls
from weightscope.checkpoint.absent import nearest
from weightscope.checkpoint.reference import HubReference, parse

ABSENT = "no such file or directory"
BARE = "a model on the Hugging Face Hub is named org/name"
LOGIN = "check the spelling; for a private model, set HF_TOKEN, or log in with `hf auth login`"


@pytest.fixture
def here(ws: Run, tmp_path: Path) -> Path:
    """The working directory of `ws`, with some models in it."""
    folder = tmp_path / "empty"
    shutil.copytree(FIXTURES / "mini", folder / "models" / "llama-7b")
    shutil.copytree(FIXTURES / "mini", folder / "my model")
    shutil.copy(FIXTURES / "mini" / "model.safetensors", folder)
    (folder / "gone").symlink_to("/nowhere/at/all")
    return folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("./x", f"{ABSENT}; check the path"),
        ("../x", f"{ABSENT}; check the path"),
        ("~/x", f"{ABSENT}; check the path"),
        ("/x/y", f"{ABSENT}; check the path"),
        ("a/b/c", f"{ABSENT}; check the path"),
        ("a/b/", f"{ABSENT}; check the path"),
        ("a b/c", f"{ABSENT}; check the path"),
        (" a/c", f"{ABSENT}; check the path"),
        ("a\\c", f"{ABSENT}; check the path"),
        ("-a/c", f"{ABSENT}; check the path"),
        ("a/c.", f"{ABSENT}; check the path"),
        ("a/c.git", f"{ABSENT}; check the path"),
        ("a/b--c", f"{ABSENT}; check the path"),
        ("a/é", f"{ABSENT}; check the path"),
        ("a/c@", f"{ABSENT}; check the path"),
        ("a/c@v 1", f"{ABSENT}; check the path"),
        ("a/c@..", f"{ABSENT}; check the path"),
        ("x.safetensors", f"{ABSENT}; check the path"),
        ("a/x.safetensors", f"{ABSENT}; check the path"),
        ("a/x.gguf", f"{ABSENT}; check the path"),
        ("a/config.json", f"{ABSENT}; check the path"),
        ("a/x.pth.tar", f"{ABSENT}; check the path"),
        ("gpt2", f"{ABSENT}; {BARE}"),
        ("my modle", f"{ABSENT}; did you mean 'my model'? {BARE[0].upper()}{BARE[1:]}"),
        ("gone", f"{ABSENT} (a broken symbolic link to /nowhere/at/all)"),
        ("gone/x", f"{ABSENT} (gone is a broken symbolic link to /nowhere/at/all)"),
        ("models/lama-7b", f"{ABSENT}; did you mean models/llama-7b? To ask the Hugging Face Hub, write hf://models/"),
        ("models/other", f"{ABSENT}; to ask the Hugging Face Hub, write hf://models/other"),
        ("./models/lama-7b", f"{ABSENT}; did you mean ./models/llama-7b?"),
        ("modles/llama-7b/", f"{ABSENT}; did you mean models/llama-7b?"),
        ("models\\llama-7b", f"{ABSENT}; did you mean models/llama-7b?"),
        ("model.safetensor", f"{ABSENT}; did you mean model.safetensors?"),
        ("models/llama-7b/Model.safetensors", f"{ABSENT}; did you mean models/llama-7b/model.safetensors?"),
        ("models/llama-7b/config.json/x", f"{ABSENT}; did you mean models/llama-7b/config.json?"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_repository_is_not_asked_for(text: str, said: str, here: Path, ws: Run, hub: Hub) -> None:
    done = ws("inspect", "--", text, HOME=str(here))
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith(f"weightscope: {text}: {said}")
    assert done.stderr.count("\n") == 1
    assert hub.requests == []


@pytest.mark.parametrize("command", ["inspect", "params", "tensors", "check", "forward"])
def test_every_command_says_so(command: str, here: Path, ws: Run, hub: Hub) -> None:
    done = ws(command, "models/lama-7b")
    assert (done.stdout, done.returncode) == ("", 2)
    assert f"models/lama-7b: {ABSENT}; did you mean models/llama-7b?" in done.stderr
    assert hub.requests == []


def test_a_home_that_is_not_expanded(here: Path, ws: Run, hub: Hub) -> None:
    done = ws("inspect", "~/models", HOME=str(here))
    assert done.stderr == f"weightscope: ~/models: {ABSENT}; did you mean {here}/models?\n"


def test_a_repository_that_is_not_there_is_asked_for_once(here: Path, ws: Run, hub: Hub) -> None:
    done = ws("inspect", "org/nothing")
    said = f"no such path, and no such repository on the Hub, or it is private; {LOGIN}"
    assert done.stderr == f"weightscope: org/nothing: {said}\n"
    assert len(hub.requests) == 1


def test_a_mistyped_folder_that_could_be_an_organization(here: Path, ws: Run, hub: Hub) -> None:
    done = ws("inspect", "model/llama-7b")
    what = "no such path, and no such repository on the Hub, or it is private; did you mean models/llama-7b? Check the"
    assert done.stderr.startswith(f"weightscope: model/llama-7b: {what} spelling;")
    assert len(hub.requests) == 1


def test_an_address_of_the_hub_is_no_path(ws: Run, hub: Hub) -> None:
    done = ws("inspect", "hf://org/nothing")
    assert done.stderr == f"weightscope: org/nothing: no such repository on the Hub, or it is private; {LOGIN}\n"


def test_a_folder_of_the_name_of_an_organization(here: Path, ws: Run, hub: Hub) -> None:
    (here / "org").mkdir()
    assert "write hf://org/llama" in ws("inspect", "org/llama").stderr
    assert hub.requests == []
    assert ws("inspect", "hf://org/llama").returncode == 0


def test_a_hub_that_does_not_answer(ws: Run, hub: Hub) -> None:
    hub.fail("/api/models/org/llama", stalls)
    failed = f"no such path, and asking the Hub ({hub.endpoint}) failed: the server does not answer in time (4 times)"
    assert ws("inspect", "org/llama").stderr == f"weightscope: org/llama: {failed}; try again later\n"


def test_a_hub_whose_name_has_no_address(ws: Run) -> None:
    start = time.monotonic()
    done = ws("inspect", "org/llama", HF_ENDPOINT="http://no-such-server.invalid")
    failed = "no such path, and asking the Hub (http://no-such-server.invalid) failed: the server cannot be reached"
    assert done.stderr.startswith(f"weightscope: org/llama: {failed} (")
    assert "times" not in done.stderr
    assert time.monotonic() - start < 4


def test_offline(ws: Run, hub: Hub) -> None:
    done = ws("inspect", "org/llama", HF_HUB_OFFLINE="1")
    absent = "not in the local Hugging Face cache; HF_HUB_OFFLINE is set; unset it to ask the Hub"
    assert done.stderr == f"weightscope: org/llama: no such path, and {absent}\n"
    done = ws("inspect", "hf://org/llama", HF_HUB_OFFLINE="1")
    assert done.stderr == f"weightscope: org/llama: {absent}\n"
    assert hub.requests == []


VALID = ["a/b", "0/1", "A1-b.c_d/e.F-g_h", "_a/b", "a/_b", "a_/b_", "a/b.gitx", "a" * 96 + "/b", "a/" + "b" * 96]
INVALID = [
    "a-/b", "a./b", "a/b-", "a/b.", "-a/b", ".a/b", "a/-b", "a/.b", "a/b.git", "a--b/c", "a/b--c", "a..b/c", "a/b..c",
    "a/b/c", "/b", "a/", "a//b", "a/b/", "a+b/c", "a/b+c", "a/b,c", "a/b:c", "a/b~", "a/(b)", "datasets/a/b", "a b/c",
    "a/b c", "a\b/c", "a" * 97 + "/b", "a/" + "b" * 97,
]  # fmt: skip


@pytest.mark.parametrize("name", [*VALID, *INVALID])
def test_the_rules_for_names_are_those_of_the_hub(name: str) -> None:
    try:
        validate_repo_id(name)
        valid = True
    except HFValidationError:
        valid = False
    assert (name in VALID) == valid
    assert parse(name) == (HubReference(repo=name) if valid else None)


def test_a_name_of_letters_beyond_ascii_is_a_path() -> None:
    # huggingface_hub lets any letter pass; the Hub itself has ASCII alone.
    assert parse("ä/ö") is None


def test_no_path_is_suggested_where_none_is_like_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Llama-3", "model-00001-of-00002.safetensors", ".hidden", "tokenizer.json"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    suggested = {
        "llama-3": "Llama-3",
        "llama3": "Llama-3",
        "LLAMA": "Llama-3",
        "model": "model-00001-of-00002.safetensors",
        "hidden": None,
        ".hiden": ".hidden",
        "config.json": None,
        "toknizer.json": "tokenizer.json",
        "x.safetensors": None,
        "completely/else": None,
        "Llama-3/x": None,
        "LLama-3/x": "Llama-3",
        "a\0b": None,
        "": None,
    }
    assert {text: nearest(text) for text in suggested} == suggested


def test_a_folder_of_very_many_names_takes_no_time(tmp_path: Path) -> None:
    for number in range(6000):
        (tmp_path / f"checkpoint-{number:06d}").touch()
    start = time.process_time()
    assert nearest(f"{tmp_path}/checkpoint-00000x") is not None
    assert time.process_time() - start < 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_may_not_be_looked_into(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(weightscope.WeightscopeError, match="permission denied"):
        weightscope.open(f"{tmp_path}/closed/x")


def test_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FIXTURES / "mini", tmp_path / "mini")
    monkeypatch.chdir(tmp_path)
    for name in ("minni", Path("minni")):
        with pytest.raises(weightscope.WeightscopeError, match="minni: no such file or directory; did you mean mini"):
            weightscope.open(name)
    with pytest.raises(weightscope.WeightscopeError, match="did you mean mini"):
        weightscope.download("minni")
