"""A server on this machine in place of GitHub's: the comments of one pull request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class GitHub:
    """The comments of a pull request, and what was asked of them."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.refused = 0
        self.elsewhere = ""

    def add(self, body: str, kind: str = "Bot", association: str = "NONE") -> None:
        number = len(self.comments) + 1
        self.comments.append(
            {"id": number, "body": body, "user": {"type": kind}, "author_association": association}
        )  # fmt: skip

    def answer(self, method: str, path: str, body: dict[str, str]) -> tuple[int, Any]:
        self.asked.append((method, path))
        parts = urlsplit(path)
        if method == "GET":
            query = parse_qs(parts.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return 200, self.comments[size * (page - 1) : size * page]
        if self.refused:
            return self.refused, {"message": "Resource not accessible by integration"}
        if method == "POST":
            self.add(body["body"])
            return 201, self.comments[-1]
        changed = self.comments[int(parts.path.rpartition("/")[2]) - 1]
        changed["body"] = body["body"]
        return 200, changed


@contextmanager
def serving() -> Iterator[tuple[GitHub, str]]:
    """A server on this machine for as long as it is needed, and its address."""
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            state.tokens.add(self.headers.get("Authorization", ""))
            length = int(self.headers.get("Content-Length", 0))
            sent = json.loads(self.rfile.read(length)) if length else {}
            status, shown = (302, []) if state.elsewhere else state.answer(self.command, self.path, sent)
            self.send_response(status)
            if state.elsewhere:
                self.send_header("Location", state.elsewhere + self.path)
            self.end_headers()
            self.wfile.write(json.dumps(shown).encode())

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
