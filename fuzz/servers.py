"""Commands on a hub of this machine that lies, stalls and breaks off."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.case import Case
from fuzz.commands import HERE, Commands
from fuzz.json_files import FIXTURES
from fuzz.values import damaged, mutated, number, text
from tests.remote.hub import Content, Fault, Handler, Hub, running

REPO = "org/llama"
PARTS = (
    "/api/models", "config.json", "model.safetensors.index.json", "model-00001", "model-00002", "model-0000", "resolve",
)  # fmt: skip
ELSEWHERE = (
    "{hub}/plain/org/llama/", "{hub}/plain/org/llama/model-00001-of-00004.safetensors", f"{REPO}@main",
    f"hf://{REPO}/config.json",
)  # fmt: skip
STATUSES = (200, 200, 200, 206, 206, 206, 301, 302, 304, 307, 400, 401, 403, 404, 410, 416, 418, 429, 500, 503)
HEADERS = (
    "Content-Range", "Content-Length", "ETag", "X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit", "Location",
    "Content-Encoding", "Retry-After", "X-Error-Code", "X-Error-Message", "Link", "Content-Type",
    "Content-Disposition", "Transfer-Encoding", "Set-Cookie",
)  # fmt: skip
BODIES = ("right", "right", "right", "short", "long", "garbage", "empty", "slow", "endless", "dropped", "damaged")
# Seconds that stand for those of a user: of an exchange, between two of its repetitions, of one wait.
EXCHANGE, WAITS, TIMEOUT = 0.5, (0.01, 0.01, 0.01), 0.3


class Servers(Commands):
    """The same commands with a repository's name, and faults at its server."""

    batch = 500

    def __init__(self) -> None:
        super().__init__(collected_every=20)
        self._hub = Hub()
        self._stack = ExitStack()
        self._home = Path()

    @property
    def ports(self) -> tuple[int, ...]:
        """Those that may be connected to; at the last nobody listens."""
        return (*(int(url.rpartition(":")[2]) for url in (self._hub.endpoint, self._hub.store)), 9)

    def prepare(self, scratch: Path) -> tuple[str, ...]:
        """Start the hub, and shorten what is waited for."""
        self._stack.enter_context(running(self._hub))
        self._home = scratch / "hub-home"
        for name in [name for name in os.environ if name.startswith("HF_") or "proxy" in name.lower()]:
            del os.environ[name]
        os.environ |= {
            "HF_ENDPOINT": self._hub.endpoint, "HF_HOME": str(self._home), "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HOME": str(self._home), "NO_PROXY": "*",
            "WEIGHTSCOPE_TRACEBACK": "1",
        }  # fmt: skip
        from weightscope.checkpoint import exchange, hub_file, wire
        from weightscope.checkpoint.hub_settings import settings

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        exchange.SECONDS = EXCHANGE
        wire.WAITS = hub_file.WAITS = WAITS  # type: ignore[attr-defined]
        settings().HF_HUB_DOWNLOAD_TIMEOUT = TIMEOUT
        (scratch / HERE).mkdir()
        self._publish()
        self.run(Case(kind="warm", arguments=("check", REPO, "--format", "json")), scratch)
        return (str(self._home),)

    def make(self, random: Random) -> Case:
        """A command, and what goes wrong at the server."""
        name = random.choice(("inspect", "inspect", "check", "check", "params", "tensors", "forward"))
        more = ("--download", "--tokens", "1") if name == "forward" else ()
        model = REPO if random.random() < 0.8 else random.choice(ELSEWHERE)
        arguments = (name, model, *more, "--format", random.choice(("table", "json", "markdown", "csv")))
        return Case(kind=name, arguments=arguments, faults=[_fault(random) for _ in range(random.choice((1, 1, 2, 3)))])

    def place(self, case: Case, folder: Path) -> None:
        """An empty cache, and the faults set up."""
        shutil.rmtree(self._home, ignore_errors=True)
        (folder / HERE).mkdir(exist_ok=True)
        self._hub.faults.clear()
        self._hub.requests.clear()
        for fault in case.faults:
            self._hub.fail(str(fault["part"]), _acted(fault, self._hub))

    def run(self, case: Case, folder: Path) -> None:
        """Run the command with the hub's address in its place."""
        arguments = tuple(argument.replace("{hub}", self._hub.endpoint) for argument in case.arguments)
        super().run(Case(kind=case.kind, arguments=arguments), folder)

    def _publish(self) -> None:
        self._hub.add(REPO, FIXTURES / "llama")


def _fault(random: Random) -> dict[str, object]:
    """A fault as it can be written down."""
    part = random.choice(PARTS)
    if random.random() < 0.2:
        part = f"HEAD {part}"
    headers = {random.choice(HEADERS): _header(random) for _ in range(random.choice((0, 1, 1, 2)))}
    body = random.choice(BODIES)
    listing = part.endswith("/api/models") and random.random() < 0.8
    return {
        "part": part, "status": 200 if listing else random.choice(STATUSES), "headers": headers, "body": body,
        "listing": listing, "seed": random.randrange(2**32), "early": random.random() < 0.03,
    }  # fmt: skip


def _header(random: Random) -> str:
    value = random.choice((
        text(random), f"bytes {number(random)}-{number(random)}/{number(random)}", f"bytes */{number(random)}",
        str(number(random)), f'"{text(random)}"', "../../x", '"/etc/passwd"', "gzip", "chunked", "identity",
        "http://127.0.0.1:9/x", "/", "?again", "file:///etc/passwd", "http://[/x", f"//{text(random)}", "0" * 40,
        "a" * 64, "RepoNotFound", "GatedRepo", "EntryNotFound",
    ))  # fmt: skip
    # What cannot stand in a header line is no server's to send.
    return "".join(letter for letter in value if letter not in "\r\n\0").encode("latin1", "replace").decode("latin1")


@cache
def _described(size: int) -> dict[str, Any]:
    """What the hub says of the repository, as its API does."""
    folder = FIXTURES / "llama"
    files = [
        {"rfilename": path.name, "size": path.stat().st_size, "blobId": "0" * 40,
         **({"lfs": {"sha256": "a" * 64, "size": path.stat().st_size}} if path.suffix == ".safetensors" else {})}
        for path in sorted(folder.iterdir())
    ]  # fmt: skip
    return {"id": REPO, "sha": f"{size:040x}", "siblings": files}


def _acted(fault: dict[str, Any], hub: Hub) -> Fault:
    """The fault as the hub takes it."""

    def act(handler: Handler, content: Content, start: int, stop: int) -> None:
        random = Random(fault["seed"])
        body = content.read(start, stop)
        if fault["listing"]:
            body = json.dumps(mutated(random, _described(7), random.choice((0, 1, 1, 2)))).encode()
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{content.size}", "ETag": f'"{content.etag}"'}
        if fault["status"] in (200, 304):
            del headers["Content-Range"]
        headers |= fault["headers"]
        if headers.get("Location", "").startswith("//"):
            headers["Location"] = hub.store
        _send(handler, fault, headers, _body(random, fault["body"], body))

    return act


def _body(random: Random, kind: str, right: bytes) -> bytes:
    return {
        "short": right[: len(right) // 2], "long": right + bytes(100), "garbage": random.randbytes(200), "empty": b"",
        "endless": right * 3, "damaged": damaged(random, right), "dropped": right[:100],
    }.get(kind, right)  # fmt: skip


def _send(handler: Handler, fault: dict[str, Any], headers: dict[str, str], body: bytes) -> None:
    try:
        if fault["early"]:
            for _ in range(20_000):
                handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
        handler.send_response_only(fault["status"])
        if "Content-Length" not in headers and headers.get("Transfer-Encoding") != "chunked":
            length = len(body) if fault["body"] != "endless" else 10**12
            handler.send_header("Content-Length", str(length + (5 if fault["body"] == "dropped" else 0)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.note(fault["status"], len(body))
        if handler.command == "HEAD":
            return
        if fault["body"] == "slow":
            for byte in body[:40]:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(0.05)
        handler.wfile.write(body)
        for _ in range(500 if fault["body"] == "endless" else 0):
            handler.wfile.write(body + bytes(4096))
        handler.wfile.flush()
    except (OSError, ValueError, UnicodeError):
        # A client that left.
        pass
    finally:
        handler.close_connection = True
