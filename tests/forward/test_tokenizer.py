"""A tokenizer.json that nobody should load: one line, bounded time and memory; and what honest ones must still do."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from weightscope.analyses.forward.child import MAX_CHILD_MEMORY
from weightscope.analyses.forward.prompt import MAX_PROMPT
from weightscope.analyses.forward.speller import MAX_TOKENIZER, Speller
from weightscope.errors import CheckpointError

resource = pytest.importorskip("resource", reason="this system has no limits on processes")

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
LETTERS = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz ")}
PROMPT = "the capital of france is aaaaaaaaaaaaaaaaaaaaaaaaa eee ccc"
SECONDS = 5.0
CLS = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}


def padding(**strategy: Any) -> dict[str, Any]:
    return {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "a"} | strategy


def template(pieces: list[Any], tokens: dict[str, Any]) -> dict[str, Any]:
    return {"type": "TemplateProcessing", "single": pieces, "pair": [TEXT], "special_tokens": tokens}


def replacing(kind: str, part: str) -> dict[str, Any]:
    """Forty times as many of one letter."""
    return {"type": "Sequence", kind: [{"type": "Replace", "pattern": {"String": part}, "content": part * 2}] * 40}


def charsmap(raw: bytes) -> dict[str, Any]:
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(raw).decode()}


# What is changed in a sound file, and what is said of it. Each was seen to end in a traceback, an abort, or not at all.
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "stride": (
        {"truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 4}},
        "is not a tokenizer (truncation to 4 tokens with a stride of 4)",
    ),
    "padding-10^10": (
        {"padding": padding(strategy={"Fixed": 10**10}, pad_to_multiple_of=None)},
        "is not a tokenizer (padding to 10,000,000,000 tokens)",
    ),
    "padding-10^8": (
        {"padding": padding(strategy={"Fixed": 10**8}, pad_to_multiple_of=None)},
        "is not a tokenizer (padding to 100,000,000 tokens)",
    ),
    "padding-to-a-multiple": (
        {"padding": padding(strategy="BatchLongest", pad_to_multiple_of=10**18)},
        "is not a tokenizer (padding to 1,000,000,000,000,000,000 tokens)",
    ),
    "template-of-unknown-tokens": (
        {"post_processor": template([CLS, TEXT], {})},
        "cannot be used (the library panicked: no entry found for key)",
    ),
    "template-of-10^8-tokens": (
        {"post_processor": template(
            [CLS] * 1000 + [TEXT], {"[CLS]": {"id": "[CLS]", "ids": [0] * 100_000, "tokens": ["s"] * 100_000}})},
        "cannot be used (the library aborted; it may need more than 768 MiB of memory)",
    ),
    "broken-charsmap": (
        {"normalizer": charsmap(b"\x04\0\0\0\xff\xff\xff\xff")},
        "cannot be used (the library panicked: index out of bounds",
    ),
    "huge-charsmap": ({"normalizer": charsmap(b"\xff" * 40)}, "is not a tokenizer (the library aborted"),
    "strip-beyond-the-text": (
        {"decoder": {"type": "Strip", "content": "e", "start": 0, "stop": 5}},
        "cannot be used (the library panicked: index out of bounds",
    ),
    "fixed-length-0": (
        {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
        "cannot be used (the library panicked: chunk size must be non-zero)",
    ),
    "replace-forty-times": (
        {"normalizer": replacing("normalizers", "e")},
        "cannot be used (",  # time or memory, whichever is first
    ),
    "decoder-replaces-forty-times": ({"decoder": replacing("decoders", "e")}, "cannot be used ("),
    "regex": (
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+(a+)+(a+)+b|((a*)*)*c"},
                           "behavior": "Isolated", "invert": False}},
        "cannot be used (",
    ),
    "prefix-of-a-merge": (
        {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"],
                   "continuing_subword_prefix": "#" * 10}},
        "is not a tokenizer (the library panicked",
    ),
    "text-grows-a-thousandfold": (
        {"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "x" * 1000}},
        "cannot be used (59,058 tokens for a text of 58 characters)",
    ),
    "bert-ids": (
        {"post_processor": {"type": "BertProcessing", "sep": ["x", 2**32], "cls": ["y", 3]}},
        "is not a tokenizer (",
    ),
    "a-token-of-2,000-letters": (
        {"decoder": {"type": "Replace", "pattern": {"String": "t"}, "content": "t" * 2_000}},
        "cannot be used (a token of 2,000 characters)",
    ),
}  # fmt: skip


def write(directory: Path, **changes: Any) -> Path:
    """A tokenizer of single letters, changed."""
    sound: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "vocab": LETTERS, "merges": []},
    }  # fmt: skip
    path = directory / "tokenizer.json"
    path.write_text(json.dumps(sound | changes))
    return path


@contextmanager
def bounded() -> Iterator[None]:
    """Children that ended within: little processor time, and no more memory than they may have."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    if sys.platform == "linux" and after.ru_maxrss != before.ru_maxrss:
        # Until it runs a program of its own, a child counts with what the process has that starts it.
        ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after.ru_maxrss <= max(MAX_CHILD_MEMORY // 1024, ours)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tokenizer_ends_in_one_line(name: str, with_tokenizer: Path, run: Run) -> None:
    changes, said = HOSTILE[name]
    write(with_tokenizer, **changes)
    with bounded():
        status, out, error = run("forward", with_tokenizer, "--prompt", PROMPT)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert f"tokenizer.json: {said}" in error
    assert error.endswith("; download it again from the model's repository, or give --tokens 1,2,3\n")


def test_nothing_of_the_library_reaches_the_terminal(with_tokenizer: Path) -> None:
    """In a process of its own, because a panic and an abort write to the standard error of the system."""
    write(with_tokenizer, **HOSTILE["fixed-length-0"][0])
    command = [sys.executable, "-m", "weightscope", "forward", str(with_tokenizer), "--prompt", PROMPT]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("weightscope: ")


@pytest.mark.parametrize("name", ["padding-10^10", "huge-charsmap", "fixed-length-0", "replace-forty-times"])
def test_one_that_nobody_asked_for_is_done_without(name: str, with_tokenizer: Path, run: Run) -> None:
    """The default text has an e; without a tokenizer, fixed ids serve."""
    write(with_tokenizer, **HOSTILE[name][0])
    with bounded():
        status, out, error = run("forward", with_tokenizer, "--format", "json")
    outcome = json.loads(out)
    assert (status, error, outcome["origin"]) == (0, "", "default tokens")
    assert outcome["notes"][0].startswith("tokenizer.json was not used: ")
    status, out, error = run("forward", with_tokenizer, "--tokens", "1,2,3", "--format", "json")
    assert (status, error, json.loads(out)["origin"]) == (0, "", "tokens")


def test_tokens_without_texts_are_said(with_tokenizer: Path, run: Run) -> None:
    write(with_tokenizer, decoder={"type": "Strip", "content": "e", "start": 0, "stop": 5})
    status, out, _ = run("forward", with_tokenizer, "--tokens", "1,4,3", "--format", "json")
    outcome = json.loads(out)
    assert (status, outcome["ok"], outcome["top"][0][0]["text"]) == (0, True, None)
    assert "index out of bounds" in outcome["notes"][0]


def test_a_pass_that_stops_has_nothing_to_spell(with_tokenizer: Path, run: Run) -> None:
    status, out, error = run("forward", with_tokenizer, "--prompt", "abc", "--stop-after", "1", "--format", "json")
    assert (status, error, json.loads(out)["top"]) == (0, "", [])


def test_a_file_that_is_too_large(with_tokenizer: Path, run: Run) -> None:
    with (with_tokenizer / "tokenizer.json").open("wb") as file:
        file.truncate(MAX_TOKENIZER + 1)
    status, out, error = run("forward", with_tokenizer, "--prompt", "x")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert "tokenizer.json: is too large: 100,000,001 bytes; the limit is 100,000,000" in error


def vocabulary(kind: str) -> dict[str, Any]:
    """A model of 256,000 tokens: 506 letters and most of their pairs."""
    letters = [chr(0x4E00 + i) for i in range(506)]
    pairs = [(a, b) for a in letters for b in letters]
    tokens = ([*letters, *(a + b for a, b in pairs)])[:256_000]
    ids = {token: i for i, token in enumerate(tokens)}
    if kind == "BPE":
        return {"type": kind, "vocab": ids, "merges": [[a, b] for a, b in pairs if a + b in ids]}
    if kind == "Unigram":
        return {"type": kind, "unk_id": 0, "vocab": [[token, -1.0] for token in tokens]}
    return {"type": kind, "unk_token": tokens[0], "vocab": ids}


@pytest.mark.parametrize("kind", ["BPE", "Unigram", "WordLevel"])
def test_honest_vocabularies_of_256_000_pass(kind: str, tmp_path: Path) -> None:
    model = vocabulary(kind)
    assert len(model["vocab"]) == 256_000
    path = write(tmp_path, model=model)
    text = "\u4e01\u4e02"
    with Speller(path) as speller:
        assert speller.encode(text) == tuple(Tokenizer.from_file(str(path)).encode(text).ids)
        assert len(speller.encode(text)) == 1
        assert speller.token(7) == "\u4e07"


def test_a_page_is_encoded_and_spelled_as_the_library_does(with_tokenizer: Path) -> None:
    path = with_tokenizer / "tokenizer.json"
    library = Tokenizer.from_file(str(path))
    page = (ROOT / "tests" / "data" / "page.txt").read_text(encoding="utf-8") * 20
    expected = library.encode(page).ids
    with Speller(path) as speller:
        assert list(speller.encode(page)) == expected
        rows = [(token, [1, 2, 40]) for token in expected[:2_000]]
        assert speller.after(rows)[0] == [library.decode([token]) for token in (1, 2, 40)]
        assert len(speller.after(rows)) == 2_000


def test_neither_padded_nor_truncated_as_in_transformers(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    path = write(
        tmp_path,
        padding=padding(strategy={"Fixed": 128}, pad_to_multiple_of=None),
        truncation={"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0},
    )
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(path))
    with Speller(path) as speller:
        assert list(speller.encode(PROMPT)) == theirs(PROMPT).input_ids
    assert len(theirs(PROMPT).input_ids) == len(PROMPT)


def test_a_module_in_the_working_directory_is_not_imported(
    with_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "tokenizers.py", "struct.py", "resource.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nraise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Speller(with_tokenizer / "tokenizer.json") as speller:
        assert len(speller.encode("abc")) == 3
    assert not (tmp_path / "run").exists()


def children() -> set[int]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    return {int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_child_outlives_its_speller(with_tokenizer: Path) -> None:
    before = children()
    with Speller(with_tokenizer / "tokenizer.json") as speller:
        assert len(children() - before) == 1
        assert speller.token(1)
    assert children() == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_child_ends_when_its_parent_is_interrupted(with_tokenizer: Path) -> None:
    path = write(with_tokenizer, **HOSTILE["replace-forty-times"][0])
    code = (
        "import subprocess, sys\nfrom pathlib import Path\n"
        "from weightscope.analyses.forward.speller import Speller\n"
        f"with Speller(Path({str(path)!r})) as speller:\n"
        "    print(speller._child._process.pid, flush=True)\n    speller.encode('e')\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    assert parent.stdout
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.send_signal(signal.SIGINT)
        parent.wait(timeout=10)
    assert not Path(f"/proc/{child}").exists()


def test_time_by_the_clock_ends_what_no_other_limit_does(with_tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system that has no limit on processor time: the library holds Python's lock all the while."""
    from weightscope.analyses.forward import child, speller

    monkeypatch.setattr(child, "WALL_SECONDS", 0.5)
    monkeypatch.setattr(child, "WALL_FACTOR", 0.0)
    monkeypatch.setattr(speller, "LOAD_SECONDS", 100.0)
    path = write(with_tokenizer, decoder=replacing("decoders", "e"))
    start = time.monotonic()
    with Speller(path) as it, pytest.raises(CheckpointError, match=r"cannot be used \(it takes more than 0 s\)"):
        it.encode("ee")
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tokens", ",".join(["1"] * 3_000_000)), "3,000,000 tokens exceed the limit of 262,144 for one pass"),
        (("--tokens", " ".join(["1"] * 300_000)), "300,000 tokens exceed the limit of 262,144 for one pass"),
        (("--prompt", "x" * (MAX_PROMPT + 1)), "the prompt is longer than 4,000,000 bytes; use a shorter prompt"),
        (("--prompt", "x\udcff"), "the prompt is not UTF-8 text; save it as a UTF-8 file, and give --prompt-file"),
    ],
    ids=["tokens", "tokens-apart", "prompt", "surrogate"],
)
def test_prompts_that_are_too_much(options: tuple[str, str], said: str, with_tokenizer: Path, run: Run) -> None:
    status, out, error = run("forward", with_tokenizer, *options)
    assert (status, out, error) == (2, "", f"weightscope: {said}{'; give fewer' * ('tokens' in said)}\n")


def test_a_prompt_file_that_is_too_long(with_tokenizer: Path, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.txt"
    with path.open("wb") as file:
        file.truncate(10**12)
    status, out, error = run("forward", with_tokenizer, "--prompt-file", path)
    assert (status, out, error) == (
        2,
        "",
        f"weightscope: {path}: is longer than 4,000,000 bytes; use a shorter prompt\n",
    )
