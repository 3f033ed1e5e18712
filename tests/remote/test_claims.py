"""What a server may claim: shapes of hashes, names and numbers, from both sides of each limit."""

from __future__ import annotations

import threading
import time

import pytest

from weightscope.checkpoint.background import Background, within
from weightscope.checkpoint.claims import etag_of, is_hash, is_path, is_sha256, leaves, number
from weightscope.errors import RemoteError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a" * 40, True), ("0" * 64, True), ("a" * 39, False), ("a" * 41, False), ("a" * 63, False), ("A" * 40, False),
     ("g" * 40, False), ("a" * 40 + "\n", False), ("", False), ("../" + "a" * 37, False), ("a" * 50, False)],
)  # fmt: skip
def test_hashes(text: str, expected: bool) -> None:
    assert is_hash(text) is expected
    assert is_sha256(text) is (expected and len(text) == 64)


@pytest.mark.parametrize(
    ("name", "path", "out"),
    [
        ("config.json", True, False),
        ("a/b/c.safetensors", True, False),
        ("a..b/...", True, False),
        ("模型/重み.bin", True, False),
        ("n" * 255, True, False),
        ("n" * 256, False, False),
        ("é" * 128, False, False),
        ("a/" * 600 + "b", False, False),
        ("a//b", False, False),
        ("a/", False, False),
        ("./a", False, False),
        ("a\\b", False, False),
        ("a\nb", False, False),
        ("a\x7fb", False, False),
        ("a\ud800b", False, False),
        ("", False, True),
        ("..", False, True),
        ("a/../b", False, True),
        ("a\\..\\b", False, True),
        ("/a", False, True),
        ("\\a", False, True),
        ("C:/a", False, True),
        ("c:a", False, True),
        ("a\0", False, True),
    ],
)
def test_names(name: str, path: bool, out: bool) -> None:
    assert (is_path(name), leaves(name)) == (path, out)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("007", 7), ("9223372036854775807", (1 << 63) - 1), ("9223372036854775808", None), ("9" * 5000, None),
     ("-1", None), ("+1", None), ("1_0", None), (" 1", None), ("\u0661", None), ("\u00b2", None), ("", None)],
)  # fmt: skip
def test_numbers(text: str, expected: int | None) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [('"abc"', '"abc"'), ('W/"abc"', 'W/"abc"'), ('"\xe9"', ""), ('"a b"', ""), ("x" * 1001, ""), ("a\r\nb", "")],
)
def test_etags_that_are_sent_back(text: str, expected: str) -> None:
    assert etag_of(text) == expected


def test_calls_run_at_most_so_many_at_a_time() -> None:
    pool, lock, running, most = Background(3), threading.Lock(), 0, 0

    def call(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return number * number

    futures = [pool.submit(call, n) for n in range(20)]
    assert [future.result(10) for future in futures] == [n * n for n in range(20)]
    assert most == 3
    assert pool.close()


def test_calls_that_never_end_hold_nobody_up() -> None:
    pool, never = Background(1), threading.Event()
    first, second = pool.submit(never.wait), pool.submit(never.wait)
    while not first.running():
        time.sleep(0.01)
    start = time.monotonic()
    assert not pool.close(0.1)
    assert time.monotonic() - start < 10
    assert second.cancelled()
    never.set()
    assert first.result(5)
    with pytest.raises(RemoteError, match="no answer in time"):
        within(0.1, lambda: time.sleep(30), "it")
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0, "it")
