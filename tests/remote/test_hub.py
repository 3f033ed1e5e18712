"""A model that is not here, asked of a hub on loopback through the real client: what is said, and what it costs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import safetensors_bytes
from tests.remote.conftest import FIXTURES, Run, environment
from tests.remote.hub import Hub, Repo

LLAMA_SHARDS = sorted((FIXTURES / "llama").glob("*.safetensors"))


def inspected(ws: Run, model: str, **more: str) -> dict[str, Any]:
    done = ws("inspect", model, "--format", "json", **more)
    assert (done.stderr, done.returncode) == ("", 0)
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def without_place(shown: dict[str, Any]) -> dict[str, Any]:
    return shown | {"model": shown["model"] | {"reference": "", "notes": []}}


def header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        return 8 + int.from_bytes(file.read(8), "little")


@pytest.mark.parametrize("name", ["llama", "gpt2", "deepseek-v3", "mini", "training", "qwen3-mlx-4bit", "llava"])
def test_it_is_the_same_from_afar(name: str, ws: Run, hub: Hub) -> None:
    if not (FIXTURES / name).is_dir():
        pytest.skip("no such fixture")
    hub.add("org/it", FIXTURES / name)
    there = inspected(ws, "org/it")
    here = inspected(ws, str(FIXTURES / name))
    assert there["model"]["reference"] == "org/it"
    assert without_place(there) == without_place(here)
    assert ws("tensors", "org/it", "--format", "csv").stdout == ws("tensors", str(FIXTURES / name), "-f", "csv").stdout
    assert ws("check", "org/it", "-f", "csv").stdout.replace("org/it", "") == ws(
        "check", str(FIXTURES / name), "-f", "csv"
    ).stdout.replace(str(FIXTURES / name), "")


def test_each_shard_costs_one_request_and_its_header(ws: Run, hub: Hub) -> None:
    inspected(ws, "org/llama")
    shards = [request for request in hub.requests if request.server == "store"]
    assert len(shards) == len(LLAMA_SHARDS) == len(hub.asked("/resolve/", "GET")) - 2
    headers = sum(map(header_bytes, LLAMA_SHARDS))
    assert headers <= sum(request.sent for request in shards) < 1.2 * headers
    small = sum((FIXTURES / "llama" / name).stat().st_size for name in ("config.json", "model.safetensors.index.json"))
    assert sum(r.sent for r in hub.asked("/resolve/")) == small
    assert len(hub.asked("/api/")) == 1


def test_a_header_beyond_the_guess_costs_a_second_request(ws: Run, hub: Hub, tmp_path: Path) -> None:
    names = [f"a.very.long.name.that.nobody.would.guess.{i:06d}" for i in range(3000)]
    header = {n: {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i, n in enumerate(names)}
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(header, bytes(len(names))))
    hub.repos["org/long"] = Repo()
    hub.repos["org/long"].commit({"model.safetensors": tmp_path / "model.safetensors"})
    assert inspected(ws, "org/long")["tensors"]["total"] == 3000
    first, second = (request for request in hub.requests if request.server == "store")
    length = header_bytes(tmp_path / "model.safetensors")
    assert first.range == "bytes=0-99999"
    assert second.range == f"bytes=100000-{length - 1}"


def test_a_second_look_costs_one_question(ws: Run, hub: Hub) -> None:
    first = inspected(ws, "org/llama")
    hub.requests.clear()
    assert inspected(ws, "org/llama") == first
    assert [request.path.partition("?")[0] for request in hub.requests] == ["/api/models/org/llama/revision/main"]


def test_a_second_look_at_a_commit_costs_nothing(ws: Run, hub: Hub) -> None:
    commit = hub.repos["org/llama"].refs["main"]
    first = inspected(ws, f"org/llama@{commit}")
    hub.requests.clear()
    assert inspected(ws, f"org/llama@{commit}") == first
    assert hub.requests == []


def test_a_second_look_works_offline(ws: Run, hub: Hub) -> None:
    first = inspected(ws, "org/llama")
    hub.requests.clear()
    assert inspected(ws, "org/llama", HF_HUB_OFFLINE="1") == first
    assert hub.requests == []


def test_headers_are_known_by_content_not_by_name(ws: Run, hub: Hub, tmp_path: Path) -> None:
    inspected(ws, "org/llama")
    shutil.copytree(FIXTURES / "llama", tmp_path / "next")
    (tmp_path / "next" / "README.md").write_text("a new commit")
    hub.add("org/llama", tmp_path / "next")
    hub.requests.clear()
    inspected(ws, "org/llama")
    assert not [request for request in hub.requests if request.server == "store"]


def test_no_repository_or_server_speaks_for_another(ws: Run, hub: Hub) -> None:
    # What is listed as the hash of a file need not be its hash.
    inspected(ws, "org/llama")
    hub.add("else/where", FIXTURES / "llama")
    hub.requests.clear()
    inspected(ws, "else/where")
    assert len([request for request in hub.requests if request.server == "store"]) == len(LLAMA_SHARDS)
    commit = hub.repos["org/llama"].refs["main"]
    hub.requests.clear()
    inspected(ws, f"org/llama@{commit}", HF_ENDPOINT=hub.endpoint.replace("127.0.0.1", "localhost"))
    assert len(hub.asked("/api/")) == 1
    assert len([request for request in hub.requests if request.server == "store"]) == len(LLAMA_SHARDS)


def test_a_file_of_another_content_is_fetched(ws: Run, hub: Hub) -> None:
    inspected(ws, "org/llama")
    # Of the same name and size.
    files: dict[str, bytes | Path] = {path.name: path for path in (FIXTURES / "llama").iterdir()}
    files |= {path.name: path.read_bytes().replace(b"q_proj", b"x_proj") for path in LLAMA_SHARDS}
    hub.repos["org/llama"].commit(files)
    assert "model.layers.0.self_attn.x_proj.weight" in inspected(ws, "org/llama")["tensors"]["unrecognized"]


def test_revisions_files_and_folders(ws: Run, hub: Hub, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "llama", tmp_path / "repo" / "sub" / "llama")
    shutil.copytree(FIXTURES / "gpt2", tmp_path / "repo", dirs_exist_ok=True)
    repo = hub.repos["org/many"] = Repo()
    files = {p.relative_to(tmp_path / "repo").as_posix(): p for p in (tmp_path / "repo").rglob("*") if p.is_file()}
    repo.commit(files)
    mini = {p.name: p for p in (FIXTURES / "mini").iterdir()}
    for ref in ("v1", "refs/pr/1"):
        repo.commit(mini, ref)
    assert inspected(ws, "org/many")["model"]["family"] == "gpt2"
    for name in ("org/many@v1", "hf://org/many@v1", "org/many@refs/pr/1", "hf://org/many@refs%2Fpr%2F1"):
        assert inspected(ws, name)["model"]["model_type"] == "mini"
    for name in ("hf://org/many/sub/llama", f"{hub.endpoint}/org/many/tree/main/sub/llama"):
        assert inspected(ws, name)["model"]["family"] == "llama"
    assert inspected(ws, "hf://org/many@refs/pr/1/model.safetensors")["tensors"]["total"] == 9
    shard = f"sub/llama/{LLAMA_SHARDS[0].name}"
    for name in (f"hf://org/many/{shard}", f"{hub.endpoint}/org/many/resolve/main/{shard}"):
        shown = inspected(ws, name)
        assert [file["name"] for file in shown["files"]] == [LLAMA_SHARDS[0].name]
        assert shown["model"]["family"] == "llama"
    config = inspected(ws, "hf://org/many/sub/llama/config.json")
    assert (config["model"]["format"], config["parameters"]["total"]) == ("config", 28296)


def test_a_path_that_exists_is_meant(ws: Run, hub: Hub, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "gpt2", tmp_path / "empty" / "org" / "llama")
    assert inspected(ws, "org/llama")["model"]["family"] == "gpt2"
    assert hub.requests == []


def downloaded(hub: Hub, home: Path, *more: str) -> None:
    """By the real client, in a process of its own."""
    code = "import sys, huggingface_hub as h; h.snapshot_download('org/llama', allow_patterns=sys.argv[1:] or None)"
    subprocess.run([sys.executable, "-c", code, *more], env=environment(hub, home), check=True, capture_output=True)


def test_what_the_cache_has_needs_no_network(ws: Run, hub: Hub, home: Path) -> None:
    downloaded(hub, home)
    hub.requests.clear()
    shown = inspected(ws, "org/llama")
    assert hub.requests == []
    assert shown["model"]["notes"] == [
        f"from the local Hugging Face cache, commit {hub.repos['org/llama'].refs['main'][:7]}"
    ]
    assert inspected(ws, "org/llama@" + hub.repos["org/llama"].refs["main"])["tensors"]["total"] == 30
    assert hub.requests == []
    assert ws("check", "org/llama", "--values").returncode == 0


def test_a_part_of_a_download_is_used_and_said(ws: Run, hub: Hub, home: Path) -> None:
    downloaded(hub, home, "*.json", "*-00002-*")
    hub.requests.clear()
    shown = inspected(ws, "org/llama")
    assert "partly downloaded: 1 of 4 weight files are in the local cache" in shown["model"]["notes"]
    assert without_place(shown) == without_place(inspected(ws, str(FIXTURES / "llama")))
    assert len([request for request in hub.requests if request.server == "store"]) == 3
    assert not hub.asked("00002")


def test_a_part_of_a_download_offline_is_said(ws: Run, hub: Hub, home: Path) -> None:
    downloaded(hub, home, "*.json", "*-00002-*")
    done = ws("inspect", "org/llama", HF_HUB_OFFLINE="1")
    assert "partly downloaded: 1 of 4 weight files are in the local cache" in done.stdout
    assert "missing-shard" in done.stdout
    assert done.returncode == 2


def test_offline_without_cache(ws: Run, hub: Hub) -> None:
    done = ws("inspect", "org/llama", HF_HUB_OFFLINE="1")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == (
        "weightscope: org/llama: no such path, and not in the local Hugging Face cache; "
        "HF_HUB_OFFLINE is set; unset it to ask the Hub\n"
    )
    assert hub.requests == []


def test_the_token_goes_to_the_hub_and_nowhere_else(ws: Run, hub: Hub) -> None:
    hub.repos["org/llama"].private = hub.repos["org/llama"].gated = True
    inspected(ws, "org/llama", HF_TOKEN=hub.token)
    assert {request.token for request in hub.requests if request.server == "hub"} == {f"Bearer {hub.token}"}
    store = [request for request in hub.requests if request.server == "store"]
    assert len(store) == 4
    assert {request.token for request in store} == {None}


ABSENT = "no such path, and no such repository on the Hub, or it is private; check the spelling; for a private model"


@pytest.mark.parametrize(
    ("model", "options", "token", "said"),
    [
        ("org/nothing", {}, None, f"org/nothing: {ABSENT}"),
        ("org/llama", {"private": True}, None, f"org/llama: {ABSENT}"),
        ("org/llama", {"private": True}, "hf_wrong", f"org/llama: {ABSENT}"),
        ("org/llama", {"gated": True}, None, "a gated model, and you have no access to it; accept its terms"),
        ("org/llama", {"gated": True}, "hf_wrong", "a gated model, and you have no access to it; accept its terms"),
        ("org/llama@v9", {}, None, "org/llama@v9: no such revision"),
        ("hf://org/llama/sub", {}, None, "org/llama: has no file or folder sub"),
        ("hf://org", {}, None, "write hf://org/name or"),
        ("file:///tmp/x", {}, None, "file:// addresses are not supported"),
    ],
)
def test_what_cannot_be_had(
    model: str, options: dict[str, bool], token: str | None, said: str, ws: Run, hub: Hub, home: Path
) -> None:
    for name, value in options.items():
        setattr(hub.repos["org/llama"], name, value)
    done = ws("inspect", model, **({"HF_TOKEN": token} if token else {}))
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert (token or "hf_") not in done.stderr
    assert ws("check", model, **({"HF_TOKEN": token} if token else {})).stderr == done.stderr
