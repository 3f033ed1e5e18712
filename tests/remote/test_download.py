"""To have a model here: what that takes is said beforehand, and what comes is where the real client looks for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.remote.conftest import FIXTURES, ROOT, Run, environment
from tests.remote.hub import (
    SLOW,
    Fault,
    Hub,
    Repo,
    answers,
    drops,
    floods,
    hangs,
    normal,
    paces,
    redirects_slowly,
    says,
    status,
)
from tests.remote.test_faults import leftovers
from tests.remote.test_hub import downloaded, inspected

WEIGHTS = sum(path.stat().st_size for path in (FIXTURES / "llama").glob("*.safetensors"))
SMALL = sum(path.stat().st_size for path in (FIXTURES / "llama").glob("*.json"))


def python(code: str, hub: Hub, home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    setup = "import json, sys\nimport weightscope as ws\nfrom weightscope.api.downloading import what_is_missing\n"
    return subprocess.run(
        [sys.executable, "-c", setup + code, *arguments],
        capture_output=True, text=True, cwd=ROOT, env=environment(hub, home, **more), check=False,
    )  # fmt: skip


def missing(hub: Hub, home: Path, model: str = "org/llama", **more: str) -> object:
    code = "m = what_is_missing(sys.argv[1]); print(json.dumps(m and [m.reference, m.bytes, m.files]))"
    done = python(code, hub, home, model, **more)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_what_is_missing_is_told_in_bytes(hub: Hub, home: Path) -> None:
    # To know the files is to have fetched config and index.
    assert missing(hub, home) == ["org/llama", WEIGHTS, 4]
    downloaded(hub, home, "*-00002-*")
    second = (FIXTURES / "llama" / "model-00002-of-00004.safetensors").stat().st_size
    assert missing(hub, home) == ["org/llama", WEIGHTS - second, 3]
    downloaded(hub, home)
    hub.requests.clear()
    assert missing(hub, home) is None
    assert hub.requests == []
    assert missing(hub, home, str(FIXTURES / "llama")) is None


def test_other_formats_are_not_downloaded(hub: Hub, home: Path) -> None:
    repo = hub.repos["org/both"] = Repo()
    files: dict[str, bytes | Path] = {path.name: path for path in (FIXTURES / "mini").iterdir()}
    repo.commit(files | {"pytorch_model.bin": b"x" * 1000, "onnx/model.onnx": b"x" * 1000, "tokenizer.json": b"{}"})
    size = (FIXTURES / "mini" / "model.safetensors").stat().st_size
    assert missing(hub, home, "org/both") == ["org/both", size + 2, 2]


def test_a_download_is_where_the_client_looks_for_it(ws: Run, hub: Hub, home: Path) -> None:
    steps = "steps = []; print(ws.download('org/llama', progress=lambda *step: steps.append(step)), len(steps) > 0)"
    done = python(steps, hub, home)
    assert done.stderr == ""
    path, called = done.stdout.split()
    assert called == "True"
    assert sorted(p.name for p in Path(path).iterdir()) == sorted(p.name for p in (FIXTURES / "llama").iterdir())
    theirs = python(
        "import huggingface_hub as h; print(h.hf_hub_download('org/llama', 'model-00001-of-00004.safetensors'))",
        hub, home, HF_HUB_OFFLINE="1",
    )  # fmt: skip
    assert Path(theirs.stdout.strip()).parent == Path(path)
    hub.requests.clear()
    assert inspected(ws, "org/llama")["tensors"]["total"] == 30
    values = python(
        "m = ws.open('org/llama'); print(m.tensors['model.norm.weight'].numpy().shape, m.check(values=True))", hub, home
    )
    assert values.stdout.startswith("(24,) ")
    assert hub.requests == []


def test_what_is_here_is_given_back(hub: Hub, home: Path) -> None:
    assert python("print(ws.download('fixtures/llama'))", hub, home).stdout == "fixtures/llama\n"
    assert hub.requests == []


@pytest.mark.parametrize("fault", [drops, status(503)], ids=lambda f: f.__name__)
def test_a_download_that_breaks_off_is_taken_up(fault: object, hub: Hub, home: Path) -> None:
    hub.fail("model-00003", fault, normal)  # type: ignore[arg-type]
    done = python("print(ws.download('org/llama'))", hub, home)
    assert done.returncode == 0 or "WeightscopeError" in done.stderr or "RemoteError" in done.stderr
    assert leftovers(home) == []


def test_a_download_that_fails_leaves_nothing_half_written(hub: Hub, home: Path) -> None:
    hub.fail("model-00003", status(403))
    code = "try: ws.download('org/llama')\nexcept ws.WeightscopeError as error: print(error)"
    done = python(code, hub, home)
    assert done.stdout == (
        "org/llama/model-00003-of-00004.safetensors: access is forbidden; check what your token allows, or set "
        "HF_TOKEN, or log in with `hf auth login`\n"
    )
    assert done.stderr == ""
    assert leftovers(home) == []


# As Ctrl-C a second after the first byte was asked for.
INTERRUPTED = """
import pathlib, signal, threading, time
# A shell has what it runs in the background ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
def stop():
    while not pathlib.Path(sys.argv[1]).exists():
        time.sleep(0.05)
    time.sleep(1)
    pathlib.Path(sys.argv[2]).write_text(str(time.monotonic()))
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
threading.Thread(target=stop, daemon=True).start()
ws.download('org/large')
"""


def test_an_interrupted_download_ends_at_once(hub: Hub, home: Path, tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(4_000_000_000)
    hub.repos["org/large"] = Repo()
    hub.repos["org/large"].commit({"model.safetensors": tmp_path / "model.safetensors"})
    begun, stopped = tmp_path / "begun", tmp_path / "stopped"

    def begins(*arguments: Any) -> None:
        begun.touch()
        slowly(*arguments)

    hub.fail("model.safetensors", begins)
    done = python(INTERRUPTED, hub, home, str(begun), str(stopped))
    # A clock that all processes share.
    assert time.monotonic() - float(stopped.read_text()) < 10
    assert "KeyboardInterrupt" in done.stderr
    assert leftovers(home) == []


def slowly(handler: object, content: object, start: int, stop: int) -> None:
    """A body that would take hours."""
    handler.send_response(200)  # type: ignore[attr-defined]
    handler.send_header("Content-Length", str(stop))  # type: ignore[attr-defined]
    handler.end_headers()  # type: ignore[attr-defined]
    for _ in range(200):
        handler.wfile.write(bytes(10 << 20))  # type: ignore[attr-defined]
        time.sleep(0.3)


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [
        ("org/nothing", {}, "no such path, and no such repository on the Hub"),
        (
            "org/llama",
            {"HF_HUB_OFFLINE": "1"},
            "no such path, and not complete in the local Hugging Face cache; HF_HUB_OFFLINE is set",
        ),
        ("memory://bucket/x", {}, "only models on the Hub can be downloaded"),
        ("absent", {}, "no such file or directory; a model on the Hugging Face Hub is named org/name"),
    ],
)
def test_what_cannot_be_downloaded(model: str, more: dict[str, str], said: str, hub: Hub, home: Path) -> None:
    code = "try: ws.download(sys.argv[1])\nexcept ws.WeightscopeError as error: print(error)"
    assert said in python(code, hub, home, model, **more).stdout


SHARD = "model-00003-of-00004.safetensors"
WHERE = f"org/llama/{SHARD}: "
HURRY = (
    "from weightscope.checkpoint import exchange\n"
    "exchange.SECONDS = exchange.PERIOD = 2.0\n"
    "exchange.LEAST_BYTES = 100_000\n"
)
TRY = "try: ws.download('org/llama')\nexcept ws.WeightscopeError as error: print(error)"


def shard(hub: Hub, **headers: str) -> Fault:
    """The answer to HEAD as the Hub gives it, changed."""
    content = hub.repos["org/llama"].commits[hub.repos["org/llama"].refs["main"]][SHARD]
    said = {"ETag": f'"{content.etag}"', "X_Repo_Commit": hub.repos["org/llama"].refs["main"]}
    changed = {"Content_Length": str(content.size), **said, **headers}
    return says(200, **{key: value for key, value in changed.items() if value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"ETag": '"{outside}"'}, "a different ETag than it lists"),
        ({"ETag": '"../../../../outside"'}, "a different ETag than it lists"),
        ({"X_Linked_Etag": '"{outside}"'}, "a different ETag than it lists"),
        ({"ETag": '"' + "a" * 64 + '"'}, "a different ETag than it lists"),
        ({"ETag": ""}, "a different ETag than it lists"),
        ({"X_Repo_Commit": "../../../../outside"}, "a different commit than it lists"),
        ({"X_Repo_Commit": "{outside}"}, "a different commit than it lists"),
        ({"X_Repo_Commit": "a" * 40}, "a different commit than it lists"),
        ({"X_Linked_Size": "9" * 5000}, "a different size than it lists"),
        ({"X_Linked_Size": "-1"}, "a different size than it lists"),
        ({"Content_Length": "1"}, "a different size than it lists"),
    ],
    ids=str,
)
def test_what_is_downloaded_is_what_was_listed(
    headers: dict[str, str], said: str, hub: Hub, home: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    hub.redirect = False
    hub.fail(f"HEAD {SHARD}", shard(hub, **{k: v.replace("{outside}", str(outside)) for k, v in headers.items()}))
    done = python(TRY, hub, home)
    assert (done.stdout, done.stderr) == (f"{WHERE}the server sent {said}; try again\n", "")
    assert not outside.exists()
    assert leftovers(home) == []


def test_another_client_is_not_asked_in(hub: Hub, home: Path) -> None:
    hub.redirect = False
    more = {"X_Xet_Hash": "a" * 64, "X_Xet_Refresh_Route": f"{hub.endpoint}/xet"}
    hub.fail(f"HEAD {SHARD}", shard(hub, **more))
    done = python("print(ws.download('org/llama'))", hub, home)
    assert (done.stderr, done.returncode) == ("", 0)
    assert not any("xet" in path for path in hub.begun)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(
    "fault",
    [hangs, status(500), status(403), status(429), status(429, Retry_After="9" * 5000), status(503, Retry_After="9999"),
     *SLOW.values(), redirects_slowly, floods(b"HTTP/1.1 404 Not Found\r\n"),
     floods(b"HTTP/1.1 302 Found\r\nLocation: ?again\r\n"), says(206, b"x", Content_Range="bytes 0-0/1")],
    ids=["hangs", "500", "403", "429", "429-digits", "503-later", *SLOW, "redirects", "absent", "no end", "part"],
)  # fmt: skip
def test_a_download_that_cannot_be_had(method: str, fault: Fault, hub: Hub, home: Path) -> None:
    hub.redirect = False
    hub.fail(f"{method} {SHARD}", fault)
    start = time.monotonic()
    done = python(HURRY + TRY, hub, home)
    assert time.monotonic() - start < 30
    assert done.stderr == ""
    assert done.stdout.startswith(WHERE)
    assert done.stdout.count("\n") == 1
    assert leftovers(home) == []
    # What fits into the system's buffers, and that for each of twenty redirects.
    assert hub.sent < 150_000_000
    assert not list((home / "hub").rglob(f"snapshots/*/{SHARD}"))


def large(hub: Hub, tmp_path: Path, size: int = 3_000_000) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(range(250)) * (size // 250))
    hub.repos["org/large"] = Repo()
    hub.repos["org/large"].commit({"model.safetensors": tmp_path / "model.safetensors"})
    hub.redirect = False


TRY_LARGE = TRY.replace("llama", "large")


def test_a_download_that_stalls_or_trickles_ends(hub: Hub, home: Path, tmp_path: Path) -> None:
    large(hub, tmp_path)
    hub.fail("model.safetensors", paces(2_000_000, 100, 0.1))
    start = time.monotonic()
    done = python(HURRY + TRY_LARGE, hub, home)
    assert time.monotonic() - start < 30
    assert done.stdout == "org/large/model.safetensors: the server sends too slowly; try again later\n"
    assert leftovers(home) == []


def test_a_slow_download_ends_well(hub: Hub, home: Path, tmp_path: Path) -> None:
    # Four times longer than any one period, and always faster than it must be.
    large(hub, tmp_path, 1_600_000)
    hub.fail("model.safetensors", paces(0, 50_000, 0.25))
    start = time.monotonic()
    done = python(HURRY + "print(ws.download('org/large'))", hub, home)
    assert time.monotonic() - start > 8
    assert (done.stderr, done.returncode) == ("", 0)
    file = Path(done.stdout.strip()) / "model.safetensors"
    assert file.read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_download_goes_on_where_it_broke_off(hub: Hub, home: Path, tmp_path: Path) -> None:
    large(hub, tmp_path, 24_000_000)
    hub.fail("model.safetensors", drops_whole, normal)
    done = python("print(ws.download('org/large'))", hub, home)
    assert (done.stderr, done.returncode) == ("", 0)
    file = Path(done.stdout.strip()) / "model.safetensors"
    assert file.read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    # What huggingface_hub writes at a time.
    assert [request.range for request in hub.asked("model.safetensors")] == [None, f"bytes={10 << 20}-"]


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (says(200, bytes(24_000_000)), "the download was interrupted, and the server cannot resume it"),
        (says(206, b"x", Content_Range="bytes 0-0/24000000"), "the server sent a different part than it lists"),
        (
            says(206, b"x", Content_Range="bytes 10485760-23999999/25000000"),
            "the server sent a different part than it lists",
        ),
    ],
)
def test_a_download_is_not_stitched(then: Fault, said: str, hub: Hub, home: Path, tmp_path: Path) -> None:
    large(hub, tmp_path, 24_000_000)
    hub.fail("model.safetensors", drops_whole, then)
    done = python(TRY_LARGE, hub, home)
    assert done.stdout.startswith(f"org/large/model.safetensors: {said}")
    assert leftovers(home) == []


def drops_whole(handler: object, content: object, start: int, stop: int) -> None:
    """Half of what was asked for with 200."""
    handler.send_response(200)  # type: ignore[attr-defined]
    handler.send_header("Content-Length", str(stop))  # type: ignore[attr-defined]
    handler.end_headers()  # type: ignore[attr-defined]
    handler.note(200, stop // 2)  # type: ignore[attr-defined]
    handler.wfile.write(content.read(0, stop // 2))  # type: ignore[attr-defined]
    handler.wfile.flush()  # type: ignore[attr-defined]
    handler.connection.shutdown(2)  # type: ignore[attr-defined]


def test_more_than_was_listed_is_not_taken(hub: Hub, home: Path, tmp_path: Path) -> None:
    large(hub, tmp_path)
    hub.fail("model.safetensors", floods(b"HTTP/1.1 200 OK\r\n"))
    done = python(TRY_LARGE, hub, home)
    assert done.stdout == "org/large/model.safetensors: the server sent more data than requested; try again later\n"
    assert hub.sent < 20_000_000
    assert leftovers(home) == []


ROOMY = (
    "import shutil\nfrom types import SimpleNamespace\n"
    "shutil.disk_usage = lambda _: SimpleNamespace(free=1 << 61)\n"
)  # fmt: skip


@pytest.mark.parametrize(
    ("size", "said"),
    [(50_000_000_001, "the limit over HTTP is 50,000,000,000"), (1 << 62, "the cache's disk has only")],
)
def test_a_size_that_is_too_large(size: int, said: str, hub: Hub, home: Path) -> None:
    lfs = {"sha256": "b" * 64, "size": size}
    files = [{"rfilename": "model.safetensors", "size": size, "blobId": "a" * 40, "lfs": lfs}]
    hub.fail("/api/models/org/llama", answers({"sha": "c" * 40, "siblings": files}))
    done = python(ROOMY + TRY, hub, home)
    assert said in done.stdout
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_small_files_are_where_the_client_puts_them(ws: Run, hub: Hub, home: Path) -> None:
    """What was only looked at: huggingface_hub finds it offline, by branch and by commit, and takes stock of it."""
    assert ws("inspect", "org/llama").returncode == 0
    commit = hub.repos["org/llama"].refs["main"]
    code = (
        "import huggingface_hub as h\n"
        "for revision in ('main', sys.argv[1]):\n"
        "    print(open(h.hf_hub_download('org/llama', 'config.json', revision=revision), 'rb').read() == "
        "open(sys.argv[2], 'rb').read())\n"
        "found = h.scan_cache_dir()\n"
        "(repo,) = found.repos\n"
        "(revision,) = repo.revisions\n"
        "print(revision.commit_hash == sys.argv[1], sorted(revision.refs))\n"
        "print(sorted(file.file_name for file in revision.files))\n"
        "print(found.warnings)\n"
    )
    done = python(code, hub, home, commit, str(FIXTURES / "llama" / "config.json"), HF_HUB_OFFLINE="1")
    assert done.stdout.splitlines() == [
        "True", "True", "True ['main']", "['config.json', 'model.safetensors.index.json']", "[]",
    ]  # fmt: skip
    # And a download of its own goes on from there.
    hub.requests.clear()
    downloaded(hub, home)
    assert not hub.asked("config.json", "GET")


def test_without_links_small_files_are_files(ws: Run, hub: Hub, home: Path) -> None:
    assert ws("inspect", "org/llama", HF_HUB_DISABLE_SYMLINKS="1").returncode == 0
    (config,) = (home / "hub").rglob("config.json")
    assert not config.is_symlink()
    hub.requests.clear()
    assert inspected(ws, "org/llama", HF_HUB_OFFLINE="1")["tensors"]["total"] == 30
    assert hub.requests == []
