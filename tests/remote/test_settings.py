"""Addresses and HF_* variables that nobody can use: one line that says which and why."""

from __future__ import annotations

import subprocess

import pytest

from tests.remote.conftest import FIXTURES, Run
from tests.remote.hub import Hub

LONG = "a" * 300


def refused(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert (done.stdout, done.returncode) == ("", 2), done.stderr
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "internal error" not in done.stderr
    assert len(done.stderr) < 800


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://[/x", "not an address"),
        ("http://[", "not an address"),
        ("https://[::1/x.safetensors", "not an address"),
        ("http://", "not a web address (it names no server)"),
        ("http:///x.safetensors", "not a web address (it names no server)"),
        ("http://h:abc/x.safetensors", "not a web address"),
        ("http://h:99999/x.safetensors", "not a web address"),
        ("http://h:-1/x.safetensors", "not a web address"),
        (f"http://{LONG}.example/x.safetensors", "no server has such a name"),
        (f"http://{'a.' * 200}example/x.safetensors", "no server has such a name"),
        ("http://a..b/x.safetensors", "no server has such a name"),
        ("http://a b/x.safetensors", "it contains a space or a control character"),
        ("http://h/x\n.safetensors", "not a web address"),
        ("http://h/\x1b[2J.safetensors", "it contains a space or a control character"),
        ("https://user:secret@[/x", "not an address"),
        ("s3://[", "not an address"),
        ("memory://a::simplecache://b", "chained addresses (::)"),
        ("zip://x.safetensors::http://127.0.0.1:1/a.zip", "chained addresses (::)"),
        ("hf://org/name/../../x", "not an address on the Hub"),
        ("hf://org/a--b", "not an address on the Hub"),
        (f"hf://org/{LONG}", "not an address on the Hub"),
        (f"org/{LONG}", "no such file or directory"),
        ("org/a--b", "no such file or directory"),
        ("org/name@../../../../etc/passwd", "no such file or directory"),
        ("org/name@/dev/zero", "no such file or directory"),
        ("file://[", "file:// addresses are not supported"),
    ],
)
def test_addresses_that_are_none(text: str, said: str, ws: Run, hub: Hub) -> None:
    hub.add("org/name", FIXTURES / "mini")
    done = ws("inspect", text)
    refused(done, said)
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", ["check", "tensors", "forward"])
@pytest.mark.parametrize("text", ["http://[/x", "s3://[", f"http://{LONG}/x", "memory://a::b://c", f"org/{LONG}"])
def test_every_command_says_so(text: str, command: str, ws: Run) -> None:
    refused(ws(command, text, *(("--download",) if command == "forward" else ())), "")


@pytest.mark.parametrize("text", [b"org/na\xffme", b"http://h/\xff.safetensors", b"s3://\xff", b"org/name@\xff"])
def test_bytes_that_are_no_text(text: bytes, ws: Run) -> None:
    refused(ws("inspect", text.decode(errors="surrogateescape")), "")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *((name, value, f"{name} is '{value}'; set it to whole seconds")
          for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")
          for value in ("abc", "-5", "1.5", "", "99999999999", "nan")),
        *(("HF_ENDPOINT", value, "HF_ENDPOINT is not a web address")
          for value in ("", "nonsense", "http://[", "ftp://h", "http://h:abc", f"http://{LONG}", "file:///etc")),
        ("HF_ENDPOINT", "http://127.0.0.1:9", "the server cannot be reached"),
        ("HF_HOME", "", "HF_HOME is empty"),
        ("HF_HUB_CACHE", "", "HF_HUB_CACHE is empty"),
        ("HF_HOME", "/dev/null/x", "the token cannot be read"),
        ("HF_TOKEN", "hf_\x7f", "contains a character that cannot be sent"),
        ("HF_TOKEN", "hf_é", "contains a character that cannot be sent"),
        ("HF_TOKEN_PATH", "/", "the token cannot be read"),
        ("HF_HUB_USER_AGENT_ORIGIN", "\x1b", "contains a character that cannot be sent"),
        ("HTTP_PROXY", "nonsense://x", "the HTTP client cannot be set up"),
        ("HTTP_PROXY", "http://[", "the server cannot be reached"),
        ("SSL_CERT_FILE", "/nowhere", "SSL_CERT_FILE"),
    ],
)  # fmt: skip
def test_variables_that_hold_what_they_cannot(name: str, value: str, said: str, ws: Run, hub: Hub) -> None:
    refused(ws("inspect", "org/llama", **{name: value}), said)


def test_a_model_that_is_here_needs_none_of_them(ws: Run) -> None:
    broken = {"HF_HUB_ETAG_TIMEOUT": "abc", "HF_ENDPOINT": "http://[", "HF_HOME": "", "HTTP_PROXY": "nonsense://x"}
    done = ws("inspect", str(FIXTURES / "mini"), **broken)
    assert (done.stderr, done.returncode) == ("", 0)
