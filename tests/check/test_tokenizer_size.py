"""A tokenizer.json whose JSON multiplies in memory: a finding, within a gigabyte and five seconds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from weightscope.analyses.rules.vocabulary import MAX_TOKENIZER, highest_ids
from weightscope.checkpoint.folder import LocalFolder
from weightscope.findings import Finding

pytest.importorskip("resource", reason="this system has no limits on processes")

ROOT = Path(__file__).parents[2]
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
sys.argv = ["weightscope", "check", sys.argv[1], "--format", "json"]
from weightscope.cli import main
main()
"""
MANY = 20_000_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: b'{"model":{"vocab":[0%s]}}' % (b",0" * MANY), "its vocabulary has more than 2,000,000 commas"),
        (lambda: b'{"model":{"vocab":[[]%s]}}' % (b",[]" * MANY), "its vocabulary has more than 2,000,000 commas"),
        (
            lambda: b'{"model":{"vocab":{"a":0%s}}}' % (b',"b":0' * (MANY // 2)),
            "its vocabulary has more than 2,000,000 commas",
        ),
        (
            lambda: b'{"model":{"vocab":{}},"added_tokens":[{}%s]}' % (b",{}" * MANY),
            "its vocabulary has more than 2,000,000 commas",
        ),
        (lambda: b'{"model":{"vocab":[0,0]}}', "Expected `array`, got `int` - at `$[0]`"),
        (lambda: b'{"model":{"vocab":{"a":-1}}}', "Expected `int` >= 0 - at `$[...]`"),
        (lambda: b'{"model":{"vocab":{"a":1%s}}}' % (b"0" * 5_000), "Integer value out of range"),
        (lambda: b'{"model":{"vocab":%s}}' % (b"[" * MANY), "maximum recursion depth exceeded"),
    ],
    ids=["numbers", "lists", "repeated", "added", "of-numbers", "negative", "digits", "nested"],
)
def test_a_vocabulary_that_multiplies(content: Callable[[], bytes], said: str, tmp_path: Path) -> None:
    directory = tmp_path / "llama"
    shutil.copytree(ROOT / "fixtures" / "llama", directory)
    (directory / "tokenizer.json").write_bytes(content())
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(directory)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    findings = json.loads(ended.stdout)["findings"]
    (message,) = [finding["message"] for finding in findings if finding["severity"] == "error"]
    assert message.startswith(f"tokenizer.json cannot be read ({said}")


def test_a_file_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    (found,) = highest_ids(LocalFolder(tmp_path))
    assert isinstance(found, Finding)
    assert "larger than 100,000,000 bytes" in found.message
    assert MAX_TOKENIZER == 100_000_000


def test_a_vocabulary_of_256_000_with_its_merges(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    vocab = {f"token {i}": i for i in range(256_000)}
    merges = [["token", str(i)] for i in range(500_000)]
    path.write_text(json.dumps({"model": {"vocab": vocab, "merges": merges}, "added_tokens": [{"id": 256_000}]}))
    assert list(highest_ids(LocalFolder(tmp_path))) == [("tokenizer.json", 256_000)]
