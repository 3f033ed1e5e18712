"""Each fault that a network and its servers have, injected: one line, bounded time and memory, nothing half-written."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.remote.conftest import FIXTURES, ROOT, Run, environment
from tests.remote.hub import (
    Fault,
    Hub,
    another_part,
    compresses,
    drops,
    hangs,
    ignores_ranges,
    more_than_said,
    normal,
    other_size,
    redirects_to,
    shorter,
    stalls,
    status,
)

SHARD = "model-00002-of-00004.safetensors"
WHERE = f"weightscope: org/llama/{SHARD}: "


def leftovers(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.suffix in (".tmp", ".incomplete")]


def kept(home: Path) -> int:
    return len([path for path in (home / "weightscope" / "headers").rglob("*") if path.is_file()])


@pytest.mark.parametrize(
    ("faults", "said", "attempts"),
    [
        ((ignores_ranges,), "the server ignores ranges and would send the whole file; download it", 1),
        ((shorter,), "the server sent a different part of the file than requested", 1),
        ((another_part,), "the server sent a different part of the file than requested", 1),
        ((more_than_said,), "the server sent more data than requested", 1),
        ((other_size,), "the repository lists 16,784 bytes, but its server has 16,785", 1),
        ((compresses,), "the server sent compressed data, although none was requested", 1),
        ((status(429),), "the server answers 429 (4 times); try again later", 4),
        ((status(429, Retry_After="300"),), "the server answers 429 and asks to wait 300 seconds; try again then", 1),
        ((status(500),), "the server answers 500 (4 times); try again later", 4),
        ((status(503),), "the server answers 503 (4 times); try again later", 4),
        ((status(403),), "access is forbidden", 1),
        ((status(404),), "nothing was found at this address", 1),
        ((status(418),), "the server answers 418", 1),
        ((drops,), "the connection was lost (4 times)", 4),
        ((stalls,), "the server does not answer in time (4 times)", 4),
        ((hangs,), "the server does not answer in time (4 times)", 4),
        ((redirects_to("http://127.0.0.1:9/away"),), "the server cannot be reached", 4),
        ((redirects_to("file:///etc/passwd"),), "the server redirects to something that is not a web address", 1),
        ((redirects_to("?again"),), "the server redirects without end", 20),
        ((redirects_to("/nowhere/at/all/that/is"),), "nothing was found at this address", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_shard_that_cannot_be_had(
    faults: tuple[Fault, ...], said: str, attempts: int, hasty: Run, hub: Hub, home: Path
) -> None:
    hub.fail(SHARD, *faults)
    start = time.monotonic()
    done = hasty("inspect", "org/llama")
    assert time.monotonic() - start < 20
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith(WHERE)
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    # What hangs is never answered, and so not counted.
    assert len([r for r in hub.asked(SHARD) if r.server == "store"]) == (0 if faults == (hangs,) else attempts)
    assert leftovers(home) == []
    assert kept(home) <= 3


@pytest.mark.parametrize("fault", [status(429, Retry_After="1"), status(503), drops, stalls], ids=lambda f: f.__name__)
def test_what_passes_is_tried_again(fault: Fault, ws: Run, hub: Hub) -> None:
    hub.fail(SHARD, fault, normal)
    hub.redirect = False
    done = ws("inspect", "org/llama")
    assert (done.stderr, done.returncode) == ("", 0)
    assert len(hub.asked(SHARD)) == 2


def test_a_server_is_left_alone_for_a_while_before_it_is_asked_again(ws: Run, hub: Hub) -> None:
    hub.fail(SHARD, status(503))
    start = time.monotonic()
    done = ws("inspect", "org/llama")
    assert 4.3 < time.monotonic() - start < 20
    assert "the server answers 503 (4 times); try again later" in done.stderr


def test_an_unreadable_server_is_no_finding(hasty: Run, hub: Hub) -> None:
    hub.fail(SHARD, status(500))
    done = hasty("check", "org/llama", "--format", "json")
    assert (done.stdout, done.returncode) == ("", 2)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(500), "the server answers 500 (4 times)"),
        (status(429, Retry_After="60"), "asks to wait 60 seconds"),
        (status(401, X_Error_Code="RepoNotFound"), "no such repository on the Hub"),
        (normal, "the server's answer does not describe a model"),
        (stalls, "the server does not answer in time (4 times)"),
        (drops, "the connection was lost (4 times)"),
        (more_than_said, "the server sent more data than requested"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_hub_that_does_not_answer(fault: Fault, said: str, hasty: Run, hub: Hub, home: Path) -> None:
    hub.fail("/api/models/org/llama", fault)
    done = hasty("inspect", "org/llama")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith("weightscope: org/llama: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not home.exists() or leftovers(home) == []


INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("method", "name", "fault"),
    [
        *(
            ("GET", name, fault)
            for name in ("config.json", INDEX)
            for fault in (status(500), status(403), drops, shorter)
        ),
        ("GET", "config.json", redirects_to("http://127.0.0.1:9/x")),
        *(pytest.param("GET", "config.json", fault, marks=pytest.mark.slow) for fault in (stalls, hangs)),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_small_file_that_cannot_be_had(
    method: str, name: str, fault: Fault, hasty: Run, hub: Hub, home: Path
) -> None:
    hub.fail(f"{method} {name}", fault)
    start = time.monotonic()
    done = hasty("inspect", "org/llama")
    assert time.monotonic() - start < 75
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith(f"weightscope: org/llama/{name}: ")
    assert done.stderr.count("\n") == 1
    assert leftovers(home) == []
    assert not list((home / "hub").rglob(f"snapshots/*/{name}"))


def test_nobody_is_there(hasty: Run, home: Path) -> None:
    done = hasty("inspect", "org/llama", HF_ENDPOINT="http://127.0.0.1:9")
    assert (done.stdout, done.returncode) == ("", 2)
    assert (
        "org/llama: no such path, and asking the Hub (http://127.0.0.1:9) failed: the server cannot be reached"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((1 << 62).to_bytes(8, "little") + b"{" + bytes(1 << 20), "the format allows 100,000,000"),
        (
            (99_000_000).to_bytes(8, "little") + b"{" + bytes(1 << 20),
            "claims a header of 99,000,000 bytes but ends after",
        ),
        (b"\x08\0\0\0\0\0\0\0{notjson" + bytes(1 << 20), "the header is not JSON"),
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n" + b"x" * 90, "a Git LFS pointer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_checkpoint(content: bytes, said: str, ws: Run, hub: Hub, home: Path) -> None:
    hub.repos["org/llama"].commit({"model.safetensors": content, "config.json": FIXTURES / "llama" / "config.json"})
    done = ws("inspect", "org/llama")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith("weightscope: org/llama/model.safetensors: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert sum(request.sent for request in hub.requests if request.server == "store") <= 200_000
    assert kept(home) == 0
    checked = ws("check", "org/llama", "--format", "json")
    assert checked.returncode == 1


def test_a_header_that_claims_gigabytes_costs_no_memory(hub: Hub, home: Path, tmp_path: Path) -> None:
    ghost = tmp_path / "model.safetensors"
    with ghost.open("wb") as file:
        file.write((99_999_000).to_bytes(8, "little") + b"{")
        file.truncate(8_000_000_000)
    hub.repos["org/llama"].commit({"model.safetensors": ghost, "config.json": FIXTURES / "llama" / "config.json"})
    code = (
        "import sys; sys.argv = ['weightscope', 'inspect', 'org/llama']\n"
        "from weightscope.cli import main\n"
        "from weightscope.analyses.forward.memory import peak_bytes\n"
        "try: main()\nfinally: print(peak_bytes() // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(hub, home), cwd=ROOT, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "the header is not" in done.stderr
    assert int(done.stdout) < 600_000


def test_a_cache_that_cannot_be_written_is_no_failure(ws: Run, hub: Hub, home: Path) -> None:
    home.mkdir()
    (home / "weightscope").write_text("a file in the way")
    done = ws("inspect", "org/llama")
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("content", [b"", b"\x93\x01", b"\x93\x18\xa1x\x90", b"garbage" * 100])
def test_a_damaged_cache_is_fetched_anew(content: bytes, ws: Run, hub: Hub, home: Path) -> None:
    first = ws("inspect", "org/llama").stdout
    for path in (home / "weightscope").rglob("*"):
        if path.is_file():
            path.write_bytes(content)
    again = ws("inspect", "org/llama")
    assert (again.stdout, again.stderr) == (first, "")
