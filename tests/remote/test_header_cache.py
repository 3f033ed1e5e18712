"""What is remembered is whole or not there, and a guess of a header is close and rarely short."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.remote.conftest import environment
from tests.remote.hub import Hub
from weightscope.checkpoint import header_cache as kept
from weightscope.checkpoint.folder import Expected
from weightscope.checkpoint.guess import head_of
from weightscope.checkpoint.ranged import MAX_FETCHED, MAX_REQUESTS, RangedFile
from weightscope.errors import RemoteError


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    part = kept.Part(3, "etag", [(0, b"abc")])
    kept.keep_part("key", part)
    assert kept.load_part("key") == kept.Part(3, "etag", [(0, b"abc")])

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    kept.keep_part("other", part)
    assert kept.load_part("other") is None
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))

    def interrupted(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kept.keep_part("key", kept.Part(3, "etag", [(0, b"abc")]))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("tensors", [1, 100, 1000])
@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3"])
def test_the_guess_holds_a_header_and_little_else(tensors: int, dtype: str) -> None:
    size = 5_000_000_000
    each = size // tensors
    header = {
        f"model.layers.{i}.self_attn.q_proj.weight": {
            "dtype": dtype, "shape": [7168, 18432], "data_offsets": [i * each, (i + 1) * each]
        }
        for i in range(tensors)
    }  # fmt: skip
    text = json.dumps({"__metadata__": {"format": "pt"}} | header, separators=(",", ":"))
    length = 8 + len(text) + -len(text) % 8
    guess = head_of("model-00001-of-00002.safetensors", size, Expected(tensors, sum(map(len, header))))
    assert length <= guess < 1.2 * length + 100


def test_slices_are_fetched_once_and_only_what_is_missing() -> None:
    content = bytes(range(256)) * 4000
    asked: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return content[start:stop]

    file = RangedFile(fetch, len(content), "it", head=1000, tail=500)
    for start, stop in [
        (0, 8),
        (8, 900),
        (0, 3000),
        (2999, 3001),
        (len(content) - 22, len(content)),
        (500_000, 500_010),
    ]:
        assert file[start:stop] == content[start:stop]
    assert file[len(content) : len(content) + 5] == b""
    assert file[5:3] == b""
    end = len(content)
    assert asked == [(0, 1000), (1000, 3000), (3000, 3001), (end - 500, end), (500_000, 504_096)]
    assert file.fetched == sum(stop - start for start, stop in asked)


def test_no_more_is_fetched_than_a_header_can_need() -> None:
    file = RangedFile(lambda start, stop: b"", 1 << 40, "it", head=10)
    with pytest.raises(RemoteError, match="more than 256,000,000 bytes to fetch"):
        file[0 : MAX_FETCHED + 1]


def test_a_file_takes_few_requests() -> None:
    file = RangedFile(lambda start, stop: bytes(stop - start), 1 << 40, "it", head=10)
    for number in range(MAX_REQUESTS):
        file[number << 20 : (number << 20) + 1]
    with pytest.raises(RemoteError, match="more than 100 requests to fetch"):
        file[1 << 30 : (1 << 30) + 1]


def test_a_progress_bar_is_drawn_while_headers_come(hub: Hub, home: Path, tmp_path: Path) -> None:
    hub.delay = 0.5
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "weightscope", "inspect", "org/llama"],
        stdout=subprocess.DEVNULL, stderr=slave, cwd=tmp_path, env=environment(hub, home, TERM="xterm-256color"),
    )  # fmt: skip
    os.close(slave)
    drawn = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        drawn += chunk
    assert process.wait() == 0
    os.close(master)
    assert b"Reading headers" in drawn
    assert b"model-0000" in drawn
    assert b"Fetching" not in drawn
    assert b"config.json:" not in drawn
