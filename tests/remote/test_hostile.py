"""Servers that mean harm: names that lead elsewhere, numbers of thousands of digits, answers that never end."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.remote.conftest import FIXTURES, ROOT, Run, environment
from tests.remote.hub import SLOW, Fault, Hub, Repo, answers, floods, normal, redirects_slowly, says
from tests.remote.test_faults import SHARD, kept, leftovers

SHORT = 2.0
# Starting Python and importing what is needed, on a machine that has other things to do.
START = 25.0


def hurried(hub: Hub, home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line with little patience."""
    code = (
        "import sys\n"
        "from weightscope.checkpoint import exchange\n"
        f"exchange.SECONDS = exchange.PERIOD = {SHORT}\n"
        "exchange.LEAST_BYTES = 100_000\n"
        "from weightscope.cli import main\n"
        "sys.argv[0] = 'weightscope'\n"
        "main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, cwd=ROOT, env=environment(hub, home, **more), check=False, timeout=60,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], said: str, where: str = "org/llama") -> None:
    assert (done.stdout, done.returncode) == ("", 2), done.stderr
    assert done.stderr.startswith(f"weightscope: {where}")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def described(hub: Hub, **changes: Any) -> dict[str, Any]:
    """What the API says of a model, changed."""
    config = (FIXTURES / "llama" / "config.json").read_bytes()
    large: dict[str, Any] = {
        "rfilename": "model.safetensors",
        "size": 9,
        "blobId": "a" * 40,
        "lfs": {"sha256": "b" * 64, "size": 9},
    }
    small: dict[str, Any] = {"rfilename": "config.json", "size": len(config), "blobId": "c" * 40}
    said: dict[str, Any] = {"sha": hub.repos["org/llama"].refs["main"], "siblings": [small, large]}
    for key, value in changes.items():
        if key == "sha":
            said["sha"] = value
        elif key == "name":
            said["siblings"].append(small | {"rfilename": value})
        elif key == "sha256":
            large["lfs"] |= {"sha256": value}
        elif key == "bytes":
            large["lfs"] |= {"size": value}
        else:
            small[key] = value
    return said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *(({"sha": sha}, "the server gave a commit that is not a hash") for sha in (
            "{outside}/.bashrc", "../../../../outside/x", "main", "a" * 39, "A" * 40, "a" * 41, "", "a" * 40 + "\n",
        )),
        *(({"name": name}, "the server lists a file outside of the repository") for name in (
            "../../../x", "/etc/x.json", "{outside}/x.json", "a/../../x.json", "..\\..\\x", "C:\\x", "c:x",
            "\\\\host\\x", "a\0b", "..",
        )),
        *(({"blobId": blob}, "the server gave an invalid content hash") for blob in (
            "{outside}/x", "../../x", "", "a" * 64 + "/x",
        )),
        *(({"sha256": sha}, "the server gave an invalid content hash") for sha in (
            "{outside}/x", "../../x", "a" * 40, "",
        )),
        *(({key: size}, "the server's answer does not describe a model") for key in ("size", "bytes") for size in (
            -1, 1 << 63, 10**40, 1.5, "9",
        )),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_a_listing_says_has_its_shape(
    change: dict[str, Any], said: str, ws: Run, hub: Hub, home: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".bashrc").write_text("mine")
    change = {k: v.replace("{outside}", str(outside)) if isinstance(v, str) else v for k, v in change.items()}
    hub.fail("/api/models/org/llama", answers(described(hub, **change)))
    refused(ws("inspect", "org/llama"), said)
    assert files(outside) == {str(outside / ".bashrc"): b"mine"}
    assert files(home) == {}


def test_another_commit_than_was_asked_for(ws: Run, hub: Hub) -> None:
    commit = hub.repos["org/llama"].refs["main"]
    hub.fail("/api/models/org/llama", answers(described(hub, sha="d" * 40)))
    refused(ws("inspect", f"org/llama@{commit}"), "the server returned a different commit")


def test_names_that_no_path_can_have_are_left_out(ws: Run, hub: Hub) -> None:
    # Git takes them, and so they are no attack; not every system can write them.
    files: dict[str, bytes | Path] = {path.name: path for path in (FIXTURES / "mini").iterdir()}
    for name in ("sub\\config.json", "a\nb.json", "n" * 300 + ".json", "e\x1b[2Jsc.json"):
        files[name] = b"{}"
    hub.repos["org/names"] = Repo()
    hub.repos["org/names"].commit(files)
    done = ws("inspect", "org/names")
    assert (done.stderr, done.returncode) == ("", 0)


def test_more_files_than_any_repository_has(ws: Run, hub: Hub) -> None:
    one = {"rfilename": "x", "blobId": "a" * 40}
    hub.fail("/api/models/org/llama", answers({"sha": "a" * 40, "siblings": [one] * 500_001}))
    refused(ws("inspect", "org/llama"), "the server lists more than 250,000 files")


@pytest.mark.parametrize("etag", ['"{outside}"', '"../../../../outside"', 'W/"{outside}"', "x" * 5000, '""'])
def test_an_etag_is_no_path(etag: str, ws: Run, hub: Hub, home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    etag = etag.replace("{outside}", str(outside))
    config = (FIXTURES / "llama" / "config.json").read_bytes()
    commit = hub.repos["org/llama"].refs["main"]
    hub.fail("config.json", says(200, config, ETag=etag, X_Linked_Etag=etag, X_Repo_Commit=commit))
    length = str(len(config))
    head = says(200, Content_Length=length, ETag=etag, X_Linked_Etag=etag, X_Repo_Commit=commit)
    hub.fail("HEAD config.json", head)
    done = ws("inspect", "org/llama")
    assert (done.stderr, done.returncode) == ("", 0)
    assert not outside.exists()


@pytest.mark.parametrize("place", ["/api/models/org/llama", "config.json", SHARD])
@pytest.mark.parametrize("fault", [*SLOW.values(), redirects_slowly], ids=[*SLOW, "redirects"])
def test_what_is_slow_ends(place: str, fault: Fault, hub: Hub, home: Path) -> None:
    hub.fail(place, fault)
    start = time.monotonic()
    done = hurried(hub, home, "inspect", "org/llama")
    assert time.monotonic() - start < START + 2 * SHORT
    refused(done, "")
    assert any(said in done.stderr for said in ("does not answer in time", "sends too slowly", "ignores ranges"))
    assert leftovers(home) == []
    assert kept(home) <= 3


def test_a_slow_server_of_an_address_ends(hub: Hub, home: Path) -> None:
    hub.add("web/mini", FIXTURES / "mini")
    hub.fail("/plain/web/mini/", SLOW["hints"])
    address = f"{hub.endpoint}/plain/web/mini/model.safetensors"
    start = time.monotonic()
    done = hurried(hub, home, "inspect", address)
    assert time.monotonic() - start < START + 2 * SHORT
    refused(done, "the server does not answer in time", f"{hub.endpoint}/plain/web/mini/config.json")


def test_a_handshake_ends(hub: Hub, home: Path) -> None:
    """A server that sends its certificate a byte at a time."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, suppress(OSError):
            client, _ = listener.accept()
            with client:
                # A record of 16 kB of handshake, begun.
                client.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
                for _ in range(300):
                    client.sendall(b"\0")
                    time.sleep(0.2)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    address = f"https://127.0.0.1:{listener.getsockname()[1]}"
    start = time.monotonic()
    done = hurried(hub, home, "inspect", f"{address}/model.safetensors")
    assert time.monotonic() - start < START + 2 * SHORT
    refused(done, "the server does not answer in time", f"{address}/config.json")
    thread.join()


FLOOD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("place", ["/api/models/org/llama", "config.json", SHARD])
@pytest.mark.parametrize(
    "head",
    [
        FLOOD,
        FLOOD + b"Content-Encoding: gzip\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ?again\r\n",
        b"HTTP/1.1 404 Not Found\r\n",
        b"HTTP/1.1 500 Oh\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 30_000,
    ],
    ids=["body", "gzip", "redirect", "absent", "error", "part", "headers"],
)
def test_what_has_no_end_is_not_taken(place: str, head: bytes, hasty: Run, hub: Hub, home: Path) -> None:
    hub.fail(place, floods(head))
    refused(hasty("inspect", "org/llama"), "")
    assert hub.sent < 60_000_000
    assert sum(map(len, files(home).values())) < 100_000
    assert leftovers(home) == []


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (says(206, b"x", Content_Range=f"bytes 0-0/{DIGITS}"), "a different part of the file"),
        (says(206, b"x", Content_Range=f"bytes {DIGITS}-{DIGITS}/9"), "a different part of the file"),
        (says(206, b"x", Content_Range="bytes 0-0/-5"), "a different part of the file"),
        (says(206, b"x", Content_Range="bytes 0-0/9223372036854775808"), "a different part of the file"),
        (says(206, b"x"), "a different part of the file"),
        (says(200, b"", Content_Length=DIGITS), ""),
        (says(200, b"", Content_Length="-1"), ""),
        (says(416, Content_Range=f"bytes */{DIGITS}"), "the server answers 416"),
        (says(416, Content_Range="bytes */7"), "the repository lists"),
        (says(304), "the server answers 304"),
        (says(204), "a different part of the file"),
        (says(429, Retry_After=DIGITS), "the server answers 429"),
        (says(503, Retry_After="-1"), "the server answers 503 (4 times)"),
        (says(302, Location="http://[/x"), ""),
        (says(302, Location="http://h:abc/x"), ""),
        (says(302, Location=f"http://{'a' * 300}.example/x"), ""),
        (says(302, Location="//"), ""),
    ],
)
def test_numbers_and_places_of_a_server(fault: Fault, said: str, hasty: Run, hub: Hub, home: Path) -> None:
    hub.fail(SHARD, fault)
    refused(hasty("inspect", "org/llama"), said, f"org/llama/{SHARD}: ")
    assert leftovers(home) == []


@pytest.mark.parametrize("place", ["/api/models/org/llama", "config.json"])
@pytest.mark.parametrize("code", [204, 304, 416, 418, 299, 599])
def test_statuses_that_nobody_asked_for(place: str, code: int, ws: Run, hub: Hub) -> None:
    hub.fail(place, says(code))
    refused(ws("inspect", "org/llama"), "")


def changed(**headers: str) -> Fault:
    """The right bytes, and a header that says that they are of another file than those before."""

    def fault(handler: Any, content: Any, start: int, stop: int) -> None:
        whole = {"Content-Range": f"bytes {start}-{stop - 1}/{content.size}", "ETag": f'"{content.etag}"'}
        handler.send(206, content.read(start, stop), whole | {k.replace("_", "-"): v for k, v in headers.items()})

    return fault


@pytest.mark.parametrize("plain", [True, False], ids=["address", "hub"])
@pytest.mark.parametrize("fault", [changed(ETag='"other"'), changed(ETag="")], ids=["other", "none"])
def test_a_file_that_changes_is_not_stitched(plain: bool, fault: Fault, ws: Run, hub: Hub, home: Path) -> None:
    from tests.helpers import safetensors_bytes

    header = {f"{'n' * 50}{i:05d}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(2000)}
    hub.repos["web/long"] = Repo()
    hub.repos["web/long"].commit({"model.safetensors": safetensors_bytes(header, bytes(2000))})
    hub.fail("model.safetensors", normal, fault)
    name = f"{hub.endpoint}/plain/web/long/model.safetensors" if plain else "web/long"
    refused(ws("inspect", name), "the file changed while it was read; try again", name)
    assert kept(home) == 0


def test_an_address_whose_size_changes(ws: Run, hub: Hub, home: Path) -> None:
    from tests.helpers import safetensors_bytes

    header = {f"{'n' * 50}{i:05d}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(2000)}
    hub.repos["web/long"] = Repo()
    hub.repos["web/long"].commit({"model.safetensors": safetensors_bytes(header, bytes(2000))})

    def grown(handler: Any, content: Any, start: int, stop: int) -> None:
        said = {"Content-Range": f"bytes {start}-{stop - 1}/{content.size + 1}", "ETag": f'"{content.etag}"'}
        handler.send(206, content.read(start, stop), said)

    hub.fail("model.safetensors", normal, grown)
    name = f"{hub.endpoint}/plain/web/long/model.safetensors"
    refused(ws("inspect", name), "the file changed while it was read; try again", name)
    assert kept(home) == 0


@pytest.mark.parametrize(
    "name", ["%2Fetc%2Fx.safetensors", "..%2Fx.safetensors", "%5Cx.safetensors", "a%00.safetensors"]
)
def test_an_address_that_ends_in_a_path(name: str, ws: Run, hub: Hub) -> None:
    refused(ws("inspect", f"{hub.endpoint}/plain/web/mini/{name}"), "is not the address of a weight file", "http://")
