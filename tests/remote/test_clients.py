"""The clients that requests are made with: proxies and certificates as huggingface_hub has them, and no more."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.remote.conftest import FIXTURES, ROOT, Run, environment
from tests.remote.hub import Hub, running

MINI = (FIXTURES / "mini" / "model.safetensors").read_bytes()


def test_nothing_is_asked_but_what_is_needed(ws: Run, hub: Hub) -> None:
    """huggingface_hub's own headers ask the server for a list of agents, beyond any limit, where telemetry is on."""
    assert ws("inspect", "org/llama", HF_HUB_DISABLE_TELEMETRY="0").returncode == 0
    kinds = {
        re.sub(r"^/(api/models|org/llama/resolve|[0-9a-f]{64})/.*", r"\1", request.path) for request in hub.requests
    }
    assert {re.sub("[0-9a-f]{64}", "store", kind) for kind in kinds} == {"api/models", "org/llama/resolve", "store"}


def test_a_proxy_is_asked_for_everything(ws: Run, home: Path) -> None:
    with running(Hub(redirect=False)) as proxy:
        proxy.add("org/llama", FIXTURES / "llama")
        done = ws("inspect", "org/llama", HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=proxy.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert proxy.requests
        assert all(request.path.startswith("http://hub.invalid/") for request in proxy.requests)
        shutil.rmtree(home)
        refused = ws(
            "inspect", "org/llama", HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=proxy.endpoint, NO_PROXY="hub.invalid"
        )
        assert refused.returncode == 2


class Ranges(BaseHTTPRequestHandler):
    """Serves one file by ranges."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        is_there = asked is not None and self.path == "/model.safetensors"
        body = MINI[int(asked[1]) : int(asked[2]) + 1] if asked and is_there else b""
        self.send_response(206 if is_there else 404)
        self.send_header("Content-Length", str(len(body)))
        if asked and is_there:
            self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(body) - 1}/{len(MINI)}")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An https server's address, and its certificate, which nobody knows."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/model.safetensors", certificate
        server.shutdown()


def test_certificates_that_a_variable_names_are_trusted_and_no_others(encrypted: tuple[str, Path], ws: Run) -> None:
    address, certificate = encrypted
    done = ws("inspect", address, SSL_CERT_FILE=str(certificate))
    assert (done.returncode, done.stderr) == (0, "")
    refused = ws("inspect", address)
    assert refused.returncode == 2
    assert "certificate" in refused.stderr


def test_a_client_that_somebody_made_is_used(hub: Hub, home: Path) -> None:
    code = (
        "import sys, httpx2, huggingface_hub, weightscope\nseen = []\n"
        "class Transport(httpx2.HTTPTransport):\n"
        "    def handle_request(self, request):\n"
        "        seen.append(request)\n        return super().handle_request(request)\n"
        "huggingface_hub.set_client_factory("
        "lambda: httpx2.Client(transport=Transport(), follow_redirects=True, timeout=None))\n"
        "weightscope.open('org/llama')\nprint(len(seen))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(hub, home), cwd=ROOT, check=True
    )
    assert int(done.stdout) == len(hub.requests) > 4


def test_a_connection_is_kept_from_one_request_to_the_next(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from weightscope.checkpoint import wire as wires

    connections = []
    connect = socket.create_connection

    def counted(*arguments: Any, **options: Any) -> socket.socket:
        connections.append(connect(*arguments, **options))
        return connections[-1]

    monkeypatch.setattr(socket, "create_connection", counted)
    monkeypatch.setattr(wires, "settings", lambda: type("Online", (), {"HF_HUB_OFFLINE": False}))
    (name,) = (path.name for path in sorted((FIXTURES / "llama").glob("model-00001-*.safetensors")))
    url, wire = f"{hub.endpoint}/org/llama/resolve/main/{name}", wires.Wire()
    for _ in range(3):
        assert wire.get(url, 0, 100, where=url).data
    # The hub, and the store that it points to.
    assert len(connections) == 2
    wire.cut()
    assert all(connection.fileno() == -1 for connection in connections)
    assert wire.get(url, 0, 100, where=url).data
