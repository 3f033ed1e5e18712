"""A weight file at an address of the web, and models in stores that fsspec has drivers for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from huggingface_hub import constants

from tests.remote.conftest import FIXTURES, Run
from tests.remote.hub import Hub, Repo, ignores_ranges, normal, status
from tests.remote.test_faults import leftovers
from weightscope.api.opening import open_model
from weightscope.checkpoint import stores
from weightscope.checkpoint.find import find
from weightscope.checkpoint.reference import Address, HubReference, parse
from weightscope.errors import RemoteError, UsageError, WeightscopeError


@pytest.fixture
def site(hub: Hub) -> str:
    hub.add("web/mini", FIXTURES / "mini")
    hub.add("web/gpt2", FIXTURES / "gpt2")
    return f"{hub.endpoint}/plain/web"


def inspected(ws: Run, model: str) -> dict[str, Any]:
    done = ws("inspect", model, "--format", "json")
    assert (done.stderr, done.returncode) == ("", 0)
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


@pytest.mark.parametrize(("name", "file"), [("mini", "model.safetensors"), ("gpt2", "pytorch_model.bin")])
def test_a_weight_file_with_the_config_beside_it(name: str, file: str, site: str, ws: Run, hub: Hub) -> None:
    there = inspected(ws, f"{site}/{name}/{file}")
    here = inspected(ws, str(FIXTURES / name / file))
    assert there["model"]["reference"] == f"{site}/{name}/{file}"
    assert there | {"model": ""} == here | {"model": ""}
    assert len(hub.asked(file)) == 1


def test_a_second_look_costs_no_bytes_of_the_file(site: str, ws: Run, hub: Hub) -> None:
    first = inspected(ws, f"{site}/mini/model.safetensors")
    hub.requests.clear()
    assert inspected(ws, f"{site}/mini/model.safetensors") == first
    assert [(request.status, request.sent) for request in hub.asked("model.safetensors")] == [(304, 0)]
    hub.add("web/mini", FIXTURES / "mini-tied")
    assert inspected(ws, f"{site}/mini/model.safetensors")["tensors"]["total"] == 8


def test_a_signature_is_sent_for_its_file_alone_and_never_shown(site: str, ws: Run, hub: Hub) -> None:
    done = ws("inspect", f"{site}/mini/model.safetensors?signature=secret{'x' * 900}", "--format", "json")
    assert done.returncode == 0
    assert "secret" not in done.stdout
    assert [r.path for r in hub.requests if "secret" in r.path] == [r.path for r in hub.asked("model.safetensors")]
    done = ws("check", f"{site}/absent/model.safetensors?signature=secret", "--format", "junit")
    assert "secret" not in done.stderr + done.stdout


def test_no_token_goes_to_an_address(site: str, ws: Run, hub: Hub) -> None:
    address = hub.store.replace("127.0.0.1", "localhost") + "/mini/model.safetensors"
    ws("inspect", address, HF_TOKEN=hub.token)
    ws("inspect", f"{site}/mini/model.safetensors", HF_TOKEN=hub.token)
    assert len(hub.requests) >= 3
    assert {request.token for request in hub.requests} == {None}


def test_a_header_longer_than_the_guess(site: str, ws: Run, hub: Hub, tmp_path: Path) -> None:
    from tests.helpers import safetensors_bytes

    header = {f"{'n' * 50}{i:05d}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(2000)}
    hub.repos["web/long"] = Repo()
    hub.repos["web/long"].commit({"model.safetensors": safetensors_bytes(header, bytes(2000))})
    assert inspected(ws, f"{site}/long/model.safetensors")["tensors"]["total"] == 2000
    assert len(hub.asked("model.safetensors")) == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("absent/model.safetensors", "nothing was found at this address"),
        ("mini/model.safetensors.index.json", "is not the address of a weight file"),
        ("mini/", "is not the address of a weight file"),
        ("mini/model.onnx", "is not the address of a weight file"),
    ],
)
def test_addresses_of_nothing(path: str, said: str, site: str, ws: Run) -> None:
    done = ws("inspect", f"{site}/{path}")
    assert (done.stdout, done.returncode) == ("", 2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([ignores_ranges], "the server ignores ranges and would send the whole file"),
        ([status(403)], "access is forbidden"),
        ([status(500)], "the server answers 500 (4 times)"),
    ],
    ids=["ignores", "403", "500"],
)
def test_faults(faults: list[Any], said: str, site: str, hasty: Run, hub: Hub, home: Path, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.write((1 << 20).to_bytes(8, "little") + b"{")
        file.truncate(1 << 24)
    hub.repos["web/large"] = Repo()
    hub.repos["web/large"].commit({"model.safetensors": tmp_path / "large"})
    hub.fail("large/model.safetensors", *faults)
    done = hasty("inspect", f"{site}/large/model.safetensors")
    assert (done.stdout, done.returncode) == ("", 2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert leftovers(home) == []


def test_a_server_without_ranges_may_send_a_small_file_whole(site: str, ws: Run, hub: Hub) -> None:
    hub.fail("mini/model.safetensors", ignores_ranges)
    assert inspected(ws, f"{site}/mini/model.safetensors")["tensors"]["total"] == 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", HubReference(repo="org/name")),
        ("org/name@v1.0", HubReference(repo="org/name", revision="v1.0")),
        ("org/name@refs/pr/7", HubReference(repo="org/name", revision="refs/pr/7")),
        ("hf://org/name/a/b.bin", HubReference(repo="org/name", name="a/b.bin")),
        ("hf://org/name@dev/a", HubReference(repo="org/name", revision="dev", name="a")),
        ("https://huggingface.co/org/name", HubReference(repo="org/name")),
        ("https://huggingface.co/org/name/", HubReference(repo="org/name")),
        ("https://huggingface.co/org/name/tree/dev", HubReference(repo="org/name", revision="dev")),
        ("https://hf.co/org/name/blob/main/x.bin?download=true", HubReference(repo="org/name", name="x.bin")),
        ("https://example.org/org/name", Address(url="https://example.org/org/name", scheme="https")),
        ("s3://bucket/model", Address(url="s3://bucket/model", scheme="s3")),
        ("org/model.safetensors", None),
        ("org/config.json", None),
        ("a/b/c", None),
        ("../name", None),
        ("./name", None),
        ("~/name", None),
        ("/name", None),
        ("name", None),
        ("org/", None),
    ],
)
def test_what_a_text_names(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    for name in ("llama", "gpt2"):
        for path in (FIXTURES / name).iterdir():
            store.pipe_file(f"/bucket/{name}/{path.name}", path.read_bytes())
    yield store
    store.store.clear()


@pytest.mark.parametrize("name", ["llama", "gpt2", "llama/config.json", "gpt2/pytorch_model.bin"])
def test_a_store(name: str, memory: Any) -> None:
    there, here = open_model(f"memory://bucket/{name}"), open_model(FIXTURES / name)
    assert there.parameters == here.parameters
    assert there.components == here.components
    assert {n: (t.dtype, t.shape) for n, t in there.tensors.items()} == {
        n: (t.dtype, t.shape) for n, t in here.tensors.items()
    }
    assert there.check() == here.check()


def test_a_second_look_into_a_store_reads_no_weight_file(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    open_model("memory://bucket/llama")
    read: list[str] = []
    cat = type(memory).cat_file

    def counted(self: Any, path: str, *arguments: Any, **options: Any) -> bytes:
        read.append(path)
        return bytes(cat(self, path, *arguments, **options))

    monkeypatch.setattr(type(memory), "cat_file", counted)
    open_model("memory://bucket/llama")
    assert [path for path in read if path.endswith(".safetensors")] == []
    assert read


def test_only_headers_of_a_store_are_read(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    cat = type(memory).cat_file

    def counted(self: Any, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        if path.endswith(".safetensors"):
            assert end is not None
            read.append(end - (start or 0))
        return bytes(cat(self, path, start, end, **options))

    monkeypatch.setattr(type(memory), "cat_file", counted)
    open_model("memory://bucket/llama")
    assert 0 < sum(read) < 5000


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("memory://bucket/absent", RemoteError, "nothing was found at this address"),
        ("s3://bucket/model", UsageError, "no driver for s3 is installed"),
        ("nonsense://bucket/model", UsageError, "not an address that can be read"),
    ],
)
def test_stores_that_cannot_be_read(url: str, error: type[WeightscopeError], said: str, memory: Any) -> None:
    with pytest.raises(error, match=said):
        open_model(url)


def test_a_store_that_does_not_answer(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "SECONDS", 0.3)
    monkeypatch.setattr(type(memory), "info", lambda *_, **__: time.sleep(30))
    start = time.monotonic()
    with pytest.raises(RemoteError, match="no answer in time"):
        open_model("memory://bucket/llama")
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("size", [-1, 1 << 63, None, "9", 1.5])
def test_a_size_of_a_store(size: Any, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    info = type(memory).info
    monkeypatch.setattr(type(memory), "info", lambda *a, **o: info(*a, **o) | {"size": size})
    with pytest.raises(RemoteError, match="the store does not report the file's size"):
        open_model("memory://bucket/llama")


def test_a_store_whose_file_changes(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = iter(range(1000))
    monkeypatch.setattr(type(memory), "ukey", lambda *_: str(next(marks)))
    with pytest.raises(RemoteError, match="the file changed while it was read"):
        open_model("memory://bucket/llama")


def test_names_of_a_store_are_names(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["bucket/llama/..", "bucket/llama/a\\..\\b.json", "bucket/llama/x\0.json", "bucket/llama/config.json"]
    monkeypatch.setattr(type(memory), "ls", lambda *_, **__: [{"name": n, "type": "file", "size": 1} for n in names])
    folder, _ = find(parse("memory://bucket/llama"))  # type: ignore[arg-type]
    assert folder.names() == ["config.json"]


def test_values_are_refused_with_what_to_do(memory: Any) -> None:
    model = open_model("memory://bucket/llama")
    with pytest.raises(WeightscopeError, match="only the header was fetched, not its values; download the model first"):
        model.tensors["model.norm.weight"].numpy()
    with pytest.raises(WeightscopeError, match="only the header was fetched, not its values"):
        model.check(values=True)


def test_normal_is_no_fault(site: str, ws: Run, hub: Hub) -> None:
    hub.fail("mini/model.safetensors", normal)
    assert inspected(ws, f"{site}/mini/model.safetensors")["tensors"]["total"] == 9
