"""A Hugging Face Hub on loopback, as much of it as the real client asks for, with every fault that a network has.

Two servers: the hub itself, and the store that large files are redirected to, which is another host to a client.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
LARGE = (".safetensors", ".bin", ".pt", ".pth")


class Content:
    """A file's bytes, in memory or on disk, and the etag that the Hub would give it."""

    def __init__(self, source: bytes | Path, *, large: bool) -> None:
        self.source = source
        self.large = large
        self.size = len(source) if isinstance(source, bytes) else source.stat().st_size
        # The data of a ghost is a hole of gigabytes, and need not be hashed to be told apart.
        if isinstance(source, Path) and self.size > 10_000_000:
            named = f"{source}{self.size}".encode()
        else:
            named = self.read(0, self.size)
        self.etag = (hashlib.sha256 if large else hashlib.sha1)(named).hexdigest()

    def read(self, start: int, stop: int) -> bytes:
        if isinstance(self.source, bytes):
            return self.source[start:stop]
        with self.source.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)


@dataclass
class Repo:
    """One repository: the files of each commit, and who may see them."""

    commits: dict[str, dict[str, Content]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files: Mapping[str, bytes | Path], ref: str = "main") -> str:
        contents = {name: Content(source, large=name.endswith(LARGE)) for name, source in files.items()}
        named = f"{ref} {[(name, content.etag) for name, content in contents.items()]}"
        sha = hashlib.sha1(named.encode()).hexdigest()
        self.commits[sha] = contents
        self.refs[ref] = sha
        return sha


class Request(NamedTuple):
    """One request as a server saw it, and how many bytes of body it sent."""

    server: str
    method: str
    path: str
    token: str | None
    range: str | None
    status: int
    sent: int


Fault = Callable[["Handler", Content, int, int], None]


class Hub:
    """The state of both servers. `faults` maps `HEAD part` or `part` of a path to what goes wrong there, in turn."""

    token = "hf_only_for_the_hub"

    def __init__(self, *, delay: float = 0.0, redirect: bool = True, page: int = 1000) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        # The paths that were asked for, as soon as they were.
        self.begun: list[str] = []
        self.faults: dict[str, list[Fault]] = {}
        self.delay = delay
        self.redirect = redirect
        self.page = page
        self.endpoint = self.store = ""

    def add(self, name: str, directory: Path, **options: Any) -> str:
        """Publish a directory; the commit."""
        repo = self.repos.setdefault(name, Repo(**options))
        return repo.commit({p.relative_to(directory).as_posix(): p for p in directory.rglob("*") if p.is_file()})

    def fail(self, part: str, *faults: Fault) -> None:
        self.faults.setdefault(part, []).extend(faults)

    def fault_for(self, method: str, path: str) -> Fault | None:
        for place, faults in self.faults.items():
            kind, _, part = place.rpartition(" ")
            if part in path and (kind or "GET") == method:
                # The last one goes on for ever.
                return faults.pop(0) if len(faults) > 1 else faults[0]
        return None

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.requests)

    def asked(self, part: str, method: str = "GET") -> list[Request]:
        return [request for request in self.requests if part in request.path and request.method == method]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    hub: Hub
    name: str

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no fault of the server's."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    @property
    def hub(self) -> Hub:
        return self.server.hub

    @property
    def token(self) -> str | None:
        return self.headers.get("Authorization")

    def answer(self) -> None:
        self.hub.begun.append(self.path)
        if self.hub.delay:
            time.sleep(self.hub.delay)
        if self.server.name == "store":
            sha = unquote(urlsplit(self.path).path).split("/")[1]
            contents = (
                c for repo in self.hub.repos.values() for files in repo.commits.values() for c in files.values()
            )
            found = next((content for content in contents if content.etag == sha), None)
            if found:
                self.content(found, {})
            else:
                self.send(404, b"")
            return
        path = urlsplit(self.path).path
        if api := API.fullmatch(path):
            self.describe(api)
        elif file := RESOLVE.fullmatch(path):
            self.resolve(file)
        else:
            self.plain(path)

    def allowed(self, repo: Repo | None, *, files: bool) -> bool:
        known = self.token == f"Bearer {self.hub.token}"
        if repo is None or (repo.private and not known):
            self.refuse(401 if not known else 404, "RepoNotFound", "Repository not found")
            return False
        if files and repo.gated and not known:
            self.refuse(401 if self.token is None else 403, "GatedRepo", "Access to model is restricted")
            return False
        return True

    def describe(self, found: re.Match[str]) -> None:
        repo = self.hub.repos.get(found["repo"])
        if not self.allowed(repo, files=False):
            return
        assert repo
        revision = unquote(found["revision"] or "main")
        sha = repo.refs.get(revision, revision)
        if sha not in repo.commits:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        if fault := self.hub.fault_for(self.command, self.path):
            fault(self, Content(b"{}", large=False), 0, 2)
            return
        files = repo.commits[sha]
        if found["what"] == "tree":
            self.tree(files, found["repo"], sha)
            return
        siblings = []
        for name, content in sorted(files.items()):
            lfs = {"lfs": {"sha256": content.etag, "size": content.size, "pointerSize": 130}} if content.large else {}
            blob = hashlib.sha1(content.etag.encode()).hexdigest() if content.large else content.etag
            siblings.append({"rfilename": name, "size": content.size, "blobId": blob} | lfs)
        body = {"_id": "1", "id": found["repo"], "modelId": found["repo"], "sha": sha, "private": repo.private}
        self.json(body | {"gated": "manual" if repo.gated else False, "tags": [], "siblings": siblings})

    def tree(self, files: dict[str, Content], repo: str, sha: str) -> None:
        start = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        names = sorted(files)
        entries = []
        for name in names[start : start + self.hub.page]:
            content = files[name]
            lfs = {"lfs": {"oid": content.etag, "size": content.size, "pointerSize": 130}} if content.large else {}
            entries.append({"type": "file", "path": name, "size": content.size, "oid": content.etag[:40]} | lfs)
        more = start + self.hub.page
        link = f'<{self.hub.endpoint}/api/models/{repo}/tree/{sha}?recursive=True&cursor={more}>; rel="next"'
        self.json(entries, {"Link": link} if more < len(names) else {})

    def resolve(self, found: re.Match[str]) -> None:
        repo = self.hub.repos.get(found["repo"])
        if not self.allowed(repo, files=True):
            return
        assert repo
        revision, name = unquote(found["revision"]), unquote(found["name"])
        sha = repo.refs.get(revision, revision)
        if sha not in repo.commits:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        content = repo.commits[sha].get(name)
        if content is None:
            self.refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": sha})
            return
        headers = {"X-Repo-Commit": sha, "ETag": f'"{content.etag}"'}
        if not (content.large and self.hub.redirect):
            self.content(content, headers)
            return
        headers |= {"X-Linked-Etag": f'"{content.etag}"', "X-Linked-Size": str(content.size)}
        location = f"{self.hub.store}/{content.etag}/{quote(name)}?signature=x"
        self.send(302, b"", headers | {"Location": location})

    def plain(self, path: str) -> None:
        """A web server without an API: the files of all repositories under /plain/org/name/."""
        parts = unquote(path).split("/", 4)
        repo = self.hub.repos.get("/".join(parts[2:4])) if len(parts) == 5 and parts[1] == "plain" else None
        content = repo.commits[repo.refs["main"]].get(parts[4]) if repo else None
        if content is None:
            self.send(404, b"")
        elif self.headers.get("If-None-Match") == f'"{content.etag}"':
            self.send(304, b"", {"ETag": f'"{content.etag}"'})
        else:
            self.content(content, {"ETag": f'"{content.etag}"'})

    def content(self, content: Content, headers: dict[str, str]) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        stop = min(content.size, int(asked[2]) + 1) if asked and asked[2] else content.size
        if fault := self.hub.fault_for(self.command, self.path):
            fault(self, content, start, stop)
            return
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{content.etag}"'} | headers
        if self.command == "HEAD":
            self.send(200, b"", headers | {"Content-Length": str(content.size)})
        elif not asked:
            self.send(200, content.read(0, content.size), headers)
        elif start >= content.size:
            self.send(416, b"", headers | {"Content-Range": f"bytes */{content.size}"})
        else:
            self.send(
                206, content.read(start, stop), headers | {"Content-Range": f"bytes {start}-{stop - 1}/{content.size}"}
            )

    def json(self, body: Any, headers: dict[str, str] | None = None) -> None:
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        said = {"X-Error-Code": code, "X-Error-Message": message} | (headers or {})
        self.send(status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json"} | said)

    def send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, length: int | None = None
    ) -> None:
        self.send_response(status)
        sent = {"Content-Length": str(len(body) if length is None else length)} | (headers or {})
        for key, value in sent.items():
            self.send_header(key, value)
        self.end_headers()
        body = b"" if self.command == "HEAD" else body
        self.note(status, len(body))
        self.wfile.write(body)
        self.wfile.flush()

    def note(self, status: int, sent: int) -> None:
        self.hub.requests.append(
            Request(self.server.name, self.command, self.path, self.token, self.headers.get("Range"), status, sent)
        )

    def drop(self) -> None:
        """Break the connection off, with a reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def normal(handler: Handler, content: Content, start: int, stop: int) -> None:
    """No fault at all: what comes between two of them."""
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{content.size}", "ETag": f'"{content.etag}"'}
    handler.send(206, content.read(start, stop), headers)


def status(code: int, **headers: str) -> Fault:
    """Nothing but a status."""

    def fault(handler: Handler, content: Content, start: int, stop: int) -> None:
        handler.send(code, b"", {key.replace("_", "-"): value for key, value in headers.items()})

    fault.__name__ = "-".join([str(code), *headers])
    return fault


def ignores_ranges(handler: Handler, content: Content, start: int, stop: int) -> None:
    """200, and the whole file comes, as far as anybody takes it."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(content.size))
    handler.end_headers()
    handler.note(200, 0)
    for at in range(0, content.size, 1 << 16):
        handler.wfile.write(content.read(at, at + (1 << 16)))


def stalls(handler: Handler, content: Content, start: int, stop: int) -> None:
    """Headers, and then nothing."""
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")
    handler.send_header("Content-Length", str(stop - start))
    handler.end_headers()
    handler.wfile.flush()
    handler.note(206, 0)
    time.sleep(30)
    handler.drop()


def hangs(handler: Handler, content: Content, start: int, stop: int) -> None:
    """Not even headers."""
    time.sleep(30)
    handler.drop()


def drops(handler: Handler, content: Content, start: int, stop: int) -> None:
    """Half of the body, and the connection is gone."""
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")
    handler.send_header("Content-Length", str(stop - start))
    handler.end_headers()
    half = (stop - start) // 2
    handler.wfile.write(content.read(start, start + half))
    handler.note(206, half)
    handler.drop()


def shorter(handler: Handler, content: Content, start: int, stop: int) -> None:
    """A range that ends before what was asked for, though the file goes on."""
    headers = {"Content-Range": f"bytes {start}-{stop - 8}/{content.size}"}
    handler.send(206, content.read(start, stop - 7), headers)


def another_part(handler: Handler, content: Content, start: int, stop: int) -> None:
    """A range that begins elsewhere."""
    headers = {"Content-Range": f"bytes {start + 1}-{stop}/{content.size}"}
    handler.send(206, content.read(start + 1, stop + 1), headers)


def more_than_said(handler: Handler, content: Content, start: int, stop: int) -> None:
    """Chunks without an end, under a range that has one."""
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.note(206, 0)
    for _ in range(100_000):
        handler.wfile.write(b"10000\r\n" + b"{" * 0x10000 + b"\r\n")


def other_size(handler: Handler, content: Content, start: int, stop: int) -> None:
    """The right bytes of a file that is said to be larger than it is listed."""
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{content.size + 1}"}
    handler.send(206, content.read(start, stop), headers)


def compresses(handler: Handler, content: Content, start: int, stop: int) -> None:
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{content.size}", "Content-Encoding": "gzip"}
    handler.send(206, b"\x1f\x8b" + bytes(30), headers)


def redirects_to(location: str) -> Fault:
    return status(302, Location=location)


def says(code: int, body: bytes = b"", **headers: str) -> Fault:
    """An answer made up, with nothing added to it; its length is its own where it says none."""

    def fault(handler: Handler, content: Content, start: int, stop: int) -> None:
        handler.send_response(code)
        for key, value in ({"Content_Length": str(len(body))} | headers).items():
            handler.send_header(key.replace("_", "-"), value)
        handler.end_headers()
        handler.note(code, len(body))
        handler.wfile.write(body)

    return fault


def answers(body: Any) -> Fault:
    """This JSON, whatever was asked."""

    def fault(handler: Handler, content: Content, start: int, stop: int) -> None:
        handler.json(body)

    return fault


def drips(beginning: bytes, drop: bytes = b"x", every: float = 0.2) -> Fault:
    """These bytes, and then the same few again and again, always before a client's patience with one wait ends."""

    def fault(handler: Handler, content: Content, start: int, stop: int) -> None:
        handler.note(0, 0)
        handler.wfile.write(beginning)
        for _ in range(300):
            handler.wfile.write(drop)
            handler.wfile.flush()
            time.sleep(every)
        handler.drop()

    return fault


HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
# By what a client waits for: the status line, a header, one more hint, a body.
SLOW = {
    "status": drips(b"HTTP/1.1 200 ", b"O"),
    "headers": drips(b"HTTP/1.1 200 OK\r\nX-Long: "),
    "hints": drips(HINT, HINT),
    "body": drips(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n", b"{"),
    "chunks": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
}


def paces(beginning: int, bytes_: int, every: float) -> Fault:
    """What was asked for: so much of it at once, and then so many bytes now and then."""

    def fault(handler: Handler, content: Content, start: int, stop: int) -> None:
        asked = "Range" in handler.headers
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(stop - start))
        handler.send_header("ETag", f'"{content.etag}"')
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")
        handler.end_headers()
        handler.note(200, 0)
        handler.wfile.write(content.read(start, start + beginning))
        for at in range(start + beginning, stop, bytes_):
            handler.wfile.write(content.read(at, min(stop, at + bytes_)))
            handler.wfile.flush()
            time.sleep(every)

    return fault


def redirects_slowly(handler: Handler, content: Content, start: int, stop: int) -> None:
    """Each within a client's patience, and none the last."""
    time.sleep(0.5)
    handler.send(302, b"", {"Location": "?again"})


def floods(head: bytes) -> Fault:
    """A body without an end, as fast as it is taken."""

    def fault(handler: Handler, content: Content, start: int, stop: int) -> None:
        handler.wfile.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 3_000_000_000:
                handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        finally:
            handler.note(200, sent)

    return fault


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """Both servers, each in a thread."""
    servers = []
    for name in ("hub", "store"):
        server = Server(("127.0.0.1", 0), Handler)
        server.hub, server.name = hub, name
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(server)
    hub.endpoint, hub.store = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
