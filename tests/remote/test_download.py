"""To have a model here: what that takes is said beforehand, and what comes is where the real client looks for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.remote.conftest import FIXTURES, ROOT, Run, environment
from tests.remote.hub import Hub, Repo, drops, normal, status
from tests.remote.test_faults import leftovers
from tests.remote.test_hub import downloaded, inspected

WEIGHTS = sum(path.stat().st_size for path in (FIXTURES / "llama").glob("*.safetensors"))
SMALL = sum(path.stat().st_size for path in (FIXTURES / "llama").glob("*.json"))


def python(code: str, hub: Hub, home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    setup = "import json, sys\nimport weightscope as ws\nfrom weightscope.downloading import what_is_missing\n"
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
        "org/llama/model-00003-of-00004.safetensors: access is forbidden; see what the token may do, or set HF_TOKEN, "
        "or log in with `hf auth login`\n"
    )
    assert done.stderr == ""
    assert leftovers(home) == []


def test_an_interrupted_download_ends_at_once(hub: Hub, home: Path, tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(4_000_000_000)
    hub.repos["org/large"] = Repo()
    hub.repos["org/large"].commit({"model.safetensors": tmp_path / "model.safetensors"})
    hub.fail("model.safetensors", slowly)
    code = "import threading, _thread\nthreading.Timer(2, _thread.interrupt_main).start()\nws.download('org/large')"
    start = time.monotonic()
    done = python(code, hub, home)
    assert time.monotonic() - start < 12
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
        ("org/nothing", {}, "no such model on the Hub"),
        ("org/llama", {"HF_HUB_OFFLINE": "1"}, "is not all in the local Hugging Face cache, and HF_HUB_OFFLINE is set"),
        ("memory://bucket/x", {}, "only models on the Hub are downloaded"),
        ("absent", {}, "no such file or directory; a model on the Hub is named as org/name"),
    ],
)
def test_what_cannot_be_downloaded(model: str, more: dict[str, str], said: str, hub: Hub, home: Path) -> None:
    code = "try: ws.download(sys.argv[1])\nexcept ws.WeightscopeError as error: print(error)"
    assert said in python(code, hub, home, model, **more).stdout
