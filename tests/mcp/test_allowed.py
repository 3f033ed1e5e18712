"""What a client may not read: whatever it names, and wherever a model's own files lead."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mcp.client import FIXTURES, ROOT, ask, command_line, refusal, surroundings, text_of
from tests.remote.hub import Hub, running
from weightscope.checkpoint.reference import HubReference, parse
from weightscope.mcp.allowed import Allowed

SECRET = "the-secret-word"


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """A folder with a model, beside others that are none of the client's business."""
    folder = tmp_path / "models"
    shutil.copytree(FIXTURES / "llama", folder / "llama")
    shutil.copytree(FIXTURES / "llama", tmp_path / "models-private")
    shutil.copytree(FIXTURES / "mini-tied", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "secret.json").write_text(json.dumps({"model_type": SECRET}))
    return folder


def test_what_lies_elsewhere_cannot_be_named(allowed: Path, tmp_path: Path) -> None:
    (allowed / "link").symlink_to(tmp_path / "elsewhere")
    (allowed / "file.safetensors").symlink_to(tmp_path / "elsewhere" / "model.safetensors")
    texts = [
        "..", "../elsewhere", "llama/../../elsewhere", str(tmp_path / "elsewhere"), str(tmp_path / "models-private"),
        f"{allowed}/../elsewhere", "link", "link/config.json", "file.safetensors", "/", "/etc/passwd", "/proc/self",
        str(tmp_path / "not-there"),
    ]  # fmt: skip
    calls = [("inspect", {"model": text}) for text in texts]
    for answer in ask(calls, "--allow", str(allowed)):
        line = refusal(answer)
        assert "outside the allowed folders" in line
        assert SECRET not in line


def test_what_is_no_path_cannot_be_named(allowed: Path) -> None:
    texts = [
        "", "-", "~", "org/llama", "org/llama@main", "hf://org/llama", "https://huggingface.co/org/llama",
        "http://127.0.0.1:9/x", "file:///etc/passwd", "s3://bucket/model", "a\0b", "\ud800",
    ]  # fmt: skip
    calls = [("inspect", {"model": text}) for text in texts if text != "\ud800"]
    for answer in ask(calls, "--allow", str(allowed)):
        refusal(answer)


def test_other_paths_are_held_to_the_same_rule(allowed: Path, tmp_path: Path) -> None:
    lock = tmp_path / "elsewhere" / "lock.json"
    assert command_line("lock", tmp_path / "elsewhere", "--output", lock).returncode == 0
    shutil.copytree(FIXTURES / "adapters" / "peft" / "lora", allowed / "lora")
    elsewhere = str(tmp_path / "elsewhere")
    calls = [
        ("check", {"model": "mini-tied", "lock": str(lock)}),
        ("check", {"model": "lora", "base": elsewhere}),
        ("inspect", {"model": "lora", "base": elsewhere}),
        ("explain", {"model": "lora", "base": elsewhere, "tensor": "q_proj"}),
        ("diff", {"a": "llama", "b": elsewhere}),
        ("diff", {"a": elsewhere, "b": "llama"}),
    ]
    for answer in ask(calls, "--allow", str(allowed)):
        assert "outside the allowed folders" in refusal(answer)
    shutil.copy(lock, allowed / "lock.json")
    shutil.copytree(FIXTURES / "mini-tied", allowed / "mini-tied")
    (answer,) = ask([("check", {"model": "mini-tied", "lock": "lock.json"})], "--allow", str(allowed))
    assert answer.structured_content
    assert "lock-mismatch" not in {finding["code"] for finding in answer.structured_content["findings"]}


def test_links_among_a_model_s_files_lead_nowhere_else(allowed: Path, tmp_path: Path) -> None:
    model = allowed / "llama"
    (model / "config.json").unlink()
    (model / "config.json").symlink_to(tmp_path / "elsewhere" / "secret.json")
    weights = allowed / "weights"
    weights.mkdir()
    (weights / "config.json").write_bytes((FIXTURES / "mini-tied" / "config.json").read_bytes())
    (weights / "model.safetensors").symlink_to(tmp_path / "elsewhere" / "model.safetensors")
    indexed = allowed / "indexed"
    indexed.mkdir()
    (indexed / "config.json").write_bytes((FIXTURES / "llama" / "config.json").read_bytes())
    (indexed / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": {"model.norm.weight": "../../elsewhere/model.safetensors"}})
    )
    names = ("llama", "weights", "indexed")
    answers = ask([(tool, {"model": name}) for name in names for tool in ("inspect", "check")], "--allow", str(allowed))
    for answer in answers:
        assert SECRET not in text_of(answer)
        if not answer.is_error:
            document = answer.structured_content
            assert document
            assert any(finding["severity"] == "error" for finding in document["findings"])
    # Read without the guard, all of it is there.
    assert SECRET in command_line("inspect", model, "--json").stdout
    assert json.loads(command_line("inspect", weights, "--json").stdout)["tensors"]["total"] > 5


def cached(home: Path, repo: str) -> None:
    """A model in the local Hugging Face cache, as huggingface_hub lays it out."""
    folder, commit = home / "hub" / f"models--{repo.replace('/', '--')}", "a" * 40
    shutil.copytree(FIXTURES / "llama", folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)


def test_the_base_that_an_adapter_names_is_not_read_from_the_cache(allowed: Path, tmp_path: Path) -> None:
    home = tmp_path / "hf-home"
    cached(home, "org/llama")
    shutil.copytree(FIXTURES / "adapters" / "peft" / "lora", allowed / "lora")
    config = json.loads((allowed / "lora" / "adapter_config.json").read_text())
    (allowed / "lora" / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "org/llama"}))
    calls = [("inspect", {"model": "lora"})]
    (without,) = ask(calls, "--allow", str(allowed), HF_HOME=str(home))
    (with_hub,) = ask(calls, "--allow", str(allowed), "--allow-hub", HF_HOME=str(home), HF_HUB_OFFLINE="1")
    assert without.structured_content
    assert with_hub.structured_content
    assert without.structured_content["adapter"]["held_against"] is None
    assert with_hub.structured_content["adapter"]["held_against"] == "hf://org/llama"


def test_models_of_the_hub_are_read_where_they_are_allowed(tmp_path: Path) -> None:
    with running(Hub()) as hub:
        hub.add("org/llama", FIXTURES / "llama")
        settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        found, paths, missing = ask(
            [
                ("inspect", {"model": "org/llama"}),
                ("inspect", {"model": str(FIXTURES / "llama")}),
                ("inspect", {"model": "org/nothing"}),
            ],
            "--allow-hub",
            **settings,
        )
        asked = len(hub.requests)
        assert found.structured_content
        assert found.structured_content["parameters"]["total"] == 28_296
        assert "outside the allowed folders" in refusal(paths)
        refusal(missing)
        (refused,) = ask([("inspect", {"model": "org/llama"})], "--allow", str(FIXTURES), **settings)
        assert "the Hub is not allowed" in refusal(refused)
        assert len(hub.requests) == asked


@pytest.mark.parametrize(
    "text", ["org/llama", "org/llama@refs/pr/1", "org/llama@v1.0", "hf://org/llama/sub/a b.safetensors"]
)
def test_an_address_names_the_same_as_what_was_written(text: str) -> None:
    address = Allowed(hub=True).model(text)
    assert address.startswith("hf://org/llama")
    assert parse(address) == parse(text)


def test_a_branch_with_a_slash_is_no_folder() -> None:
    assert Allowed(hub=True).model("org/llama@feature/new") == "hf://org/llama@feature%2Fnew"
    assert parse("hf://org/llama@feature%2Fnew") == HubReference(repo="org/llama", revision="feature/new")


def test_the_token_is_sent_and_its_file_stays_closed(allowed: Path, tmp_path: Path) -> None:
    with running(Hub()) as hub:
        hub.add("org/private", FIXTURES / "llama", private=True)
        home = tmp_path / "home"
        home.mkdir()
        (home / "token").write_text(hub.token)
        (allowed / "config.json").symlink_to(home / "token")
        found, linked = ask(
            [("inspect", {"model": "org/private"}), ("inspect", {"model": "."})],
            "--allow", str(allowed), "--allow-hub", HF_ENDPOINT=hub.endpoint, HF_HOME=str(home),
        )  # fmt: skip
    assert found.structured_content
    assert found.structured_content["parameters"]["total"] == 28_296
    assert hub.token not in refusal(linked)


def test_relative_paths_are_looked_up_in_each_folder(allowed: Path, tmp_path: Path) -> None:
    found, also, missing = ask(
        [("inspect", {"model": name}) for name in ("llama", "peft/lora", "nowhere")],
        "--allow", str(allowed), "--allow", str(FIXTURES / "adapters"),
    )  # fmt: skip
    assert found.structured_content
    assert found.structured_content["model"]["reference"] == str(allowed / "llama")
    assert also.structured_content
    assert also.structured_content["model"]["reference"] == str(FIXTURES / "adapters" / "peft" / "lora")
    assert "no such path in the allowed folders" in refusal(missing)


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/hostname')",
        "open(FOLDER + '/new', 'w')",
        "open(FOLDER + '/config.json', 'r+')",
        "os.open(FOLDER + '/new', os.O_WRONLY | os.O_CREAT)",
        "os.remove(FOLDER + '/config.json')",
        "os.rename(FOLDER + '/config.json', FOLDER + '/c')",
        "os.mkdir(FOLDER + '/new')",
        "os.listdir('/')",
        "os.scandir('/etc')",
        "subprocess.run(['true'])",
        "os.system('true')",
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.socket(socket.AF_UNIX).connect('/tmp/none')",
    ],
)
def test_the_guard_refuses(code: str) -> None:
    program = (
        "import os, socket, subprocess, sys\nfrom weightscope.mcp.allowed import Allowed\n"
        "from weightscope.mcp.guard import Guard\nFOLDER = sys.argv[1]\n"
        "Guard(Allowed(folders=(FOLDER,))).install()\nopen(FOLDER + '/config.json').close()\n"
        f"try:\n    {code}\nexcept PermissionError as error:\n    print(error.strerror)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(FIXTURES / "llama")],
        capture_output=True, text=True, check=True, env=surroundings(), cwd=ROOT,
    )  # fmt: skip
    assert done.stdout in ("outside the allowed folders\n", "not allowed here\n")


def test_folders_that_are_none_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    for options in ([], ["--allow", str(tmp_path / "none")], ["--allow", os.fspath(FIXTURES / "README.md")]):
        done = command_line("mcp", *options)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "allow" in done.stderr
