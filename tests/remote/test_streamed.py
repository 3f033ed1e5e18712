"""`stats`, `diff` and `lock` of a model that is not here: read by ranges if somebody agrees, and not stored."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

import weightscope
from tests.remote import hub as faults
from tests.remote.conftest import FIXTURES, command_line, environment
from tests.remote.hub import Fault, Hub
from weightscope.analyses.lock.record import lock_text

Run = Callable[..., subprocess.CompletedProcess[str]]
LLAMA = FIXTURES / "llama"
COMMANDS = (["stats"], ["lock"], ["diff", "--values", str(LLAMA)], ["check", "--values"], ["report", "--values"])


def sizes(folder: Path) -> int:
    """The bytes of all values: what comes after each header."""
    headers = [(path, 8 + int.from_bytes(path.read_bytes()[:8], "little")) for path in folder.glob("*.safetensors")]
    return sum(path.stat().st_size - header for path, header in headers)


def stored(home: Path) -> list[Path]:
    return [*home.rglob("*.safetensors"), *home.rglob("*.gguf")]


def built(value: object) -> Any:
    """As JSON has it."""
    return json.loads(msgspec.json.encode(value))


def result(ran: subprocess.CompletedProcess[str]) -> Any:
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


@pytest.mark.parametrize("command", COMMANDS, ids=["stats", "lock", "diff", "check", "report"])
def test_nothing_is_read_unless_somebody_agrees(command: list[str], ws: Run, hub: Hub, home: Path) -> None:
    ran = ws(*command, "org/llama")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert f"org/llama: {command[0]} needs the values, which are not here: " in ran.stderr
    assert "--stream 1MB reads them over the network and stores nothing" in ran.stderr
    assert ("--download" in ran.stderr) is (command[0] != "check")
    assert hub.sent < sizes(LLAMA)
    assert not stored(home)


def test_stats_are_those_of_the_files(ws: Run, hub: Hub, home: Path) -> None:
    found = result(ws("stats", "org/llama", "--stream", "1MB", "--json"))
    here = built(weightscope.open(LLAMA).stats())
    for key in ("tensors", "roles", "layers", "bytes", "findings", "complete"):
        assert found[key] == here[key], key
    assert not stored(home)
    values = sum(request.sent for request in hub.requests if request.status == 206)
    assert sizes(LLAMA) <= values < 1.1 * sizes(LLAMA)


def test_a_lock_is_that_of_the_files(ws: Run, home: Path) -> None:
    found = result(ws("lock", "org/llama", "--stream", "1MB"))
    here = weightscope.open(LLAMA).lock()
    assert (found["root"], found["weights"]) == (here.root, built(here.weights))
    assert found["repository"] == "org/llama"
    assert not stored(home)


def test_a_model_elsewhere_is_compared_with_one_here(ws: Run, home: Path) -> None:
    found = result(ws("diff", "org/llama", str(LLAMA), "--values", "--stream", "1MB", "--json"))
    assert found["verdict"]["kind"] == "identical"
    assert not stored(home)


def test_a_check_of_values(ws: Run, home: Path, tmp_path: Path) -> None:
    found = result(ws("check", "org/llama", "--values", "--stream", "1MB", "--json"))
    assert found["checked"]["tensors"] == 30
    lock = tmp_path / "llama.lock"
    lock.write_text("".join(lock_text(weightscope.open(LLAMA).lock())))
    assert ws("check", "org/llama", "--lock", str(lock), "--stream", "1MB", "-q").stdout == "ok\n"
    assert not stored(home)


def test_a_gguf_file(ws: Run, hub: Hub, home: Path) -> None:
    hub.repos["org/gguf"] = faults.Repo()
    path = FIXTURES / "gguf" / "llama.gguf"
    hub.repos["org/gguf"].commit({"llama.gguf": path})
    found = result(ws("stats", "org/gguf", "--stream", "10MB", "--json"))
    assert found["tensors"] == built(weightscope.open(path).stats().tensors)
    assert not stored(home)


def test_an_address(ws: Run, hub: Hub) -> None:
    name = next(LLAMA.glob("*.safetensors")).name
    address = f"{hub.endpoint}/plain/org/llama/{name}"
    refused = ws("stats", address)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "needs the values, which are not here: " in refused.stderr
    assert "--download" not in refused.stderr
    found = result(ws("stats", address, "--stream", "1MB", "--json"))
    here = weightscope.open(LLAMA / name).stats()
    assert [row["figures"] for row in found["tensors"]] == [built(row.figures) for row in here.tensors]


def test_fewer_bytes_than_it_takes(ws: Run, hub: Hub) -> None:
    ran = ws("stats", "org/llama", "--stream", "1kB")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "more than the 1,000 that were agreed to; agree to more: --stream 1MB" in ran.stderr
    assert hub.sent < sizes(LLAMA)


def test_one_way_or_the_other(ws: Run) -> None:
    ran = ws("stats", "org/llama", "--stream", "1MB", "--download")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("size", ["", "much", "-1GB", "1PB", "nan"])
def test_what_is_no_size(size: str, ws: Run) -> None:
    ran = ws("stats", "org/llama", "--stream", size)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "is no size; give one such as 5GB" in ran.stderr


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_pytorch_files(zipped: bool, ws: Run, hub: Hub, home: Path, tmp_path: Path) -> None:
    """What comes before each storage, padding or a number of elements, is read with its values."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(LLAMA / "config.json", folder)
    tensors = {name: tensor for file in LLAMA.glob("*.safetensors") for name, tensor in load_file(file).items()}
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    hub.add("org/bin", folder)
    found = result(ws("lock", "org/bin", "--stream", "1MB"))
    assert found["root"] == weightscope.open(LLAMA).lock().root
    assert not list(home.rglob("*.bin"))


def zip_with_another_name(content: bytes) -> bytes:
    """The member that holds a storage has another name than the directory gives it."""
    return content.replace(b"/data/0FB", b"/data/9FB", 1)


def one_element_more(content: bytes) -> bytes:
    """In torch's old format the number of elements comes before the storage; here before the last one."""
    place = content.rindex((100_000).to_bytes(8, "little"))
    return content[:place] + (100_001).to_bytes(8, "little") + content[place + 8 :]


@pytest.mark.parametrize(
    ("zipped", "change", "said"),
    [(True, zip_with_another_name, "another name"), (False, one_element_more, "100,001")],
    ids=["zip", "older"],
)
def test_a_pytorch_file_that_contradicts_itself(
    zipped: bool, change: Callable[[bytes], bytes], said: str, ws: Run, hub: Hub, tmp_path: Path
) -> None:
    """Only beside the values, which come last in the old format and are not read with the header."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "pytorch_model.bin"
    tensors = {"a.weight": torch.ones(100_000), "b.weight": torch.zeros(100_000)}
    torch.save(tensors, file, _use_new_zipfile_serialization=zipped)
    file.write_bytes(change(file.read_bytes()))
    hub.add("org/bin", folder)
    there = ws("lock", "org/bin", "--stream", "2MB")
    assert (there.returncode, there.stdout, there.stderr.count("\n")) == (2, "", 1)
    assert "org/bin/pytorch_model.bin" in there.stderr
    assert said in there.stderr


def test_a_distributed_checkpoint(ws: Run, hub: Hub, home: Path) -> None:
    run = FIXTURES / "runs" / "fsdp"
    (parts,) = {path.parent for path in run.rglob(".metadata")}
    hub.add("org/fsdp", parts)
    found = result(ws("stats", "org/fsdp", "--stream", "10MB", "--json"))
    here = weightscope.open(parts).stats()
    assert [row["figures"] for row in found["tensors"]] == [built(row.figures) for row in here.tensors]
    assert len(here.tensors) > 10
    assert not list(home.rglob("*.distcp"))
    assert not list(home.rglob(".metadata"))


def test_files_of_a_model_elsewhere(ws: Run, hasty: Run, hub: Hub, home: Path, tmp_path: Path) -> None:
    """The Hub says the SHA-256 of large files; small ones are read, and not stored."""
    folder = tmp_path / "with-notes"
    shutil.copytree(LLAMA, folder)
    (folder / "NOTES.md").write_text("Notes.")
    (folder / ".gitattributes").write_text("hidden")
    hub.add("org/notes", folder)
    lock = tmp_path / "lock.json"
    found = ws("lock", "org/notes", "--files", "--stream", "2MB", "-o", str(lock))
    assert (found.returncode, found.stderr) == (0, "")
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name[0] != "."
    }
    assert {name: file["sha256"] for name, file in json.loads(lock.read_text())["files"].items()} == digests
    assert not [*stored(home), *home.rglob("NOTES.md")]
    assert ws("check", "org/notes", "--lock", str(lock), "--stream", "2MB", "-q").stdout == "ok\n"
    hub.fail("NOTES.md", faults.drops)
    cut = hasty("lock", "org/notes", "--files", "--stream", "2MB", "-o", str(lock))
    assert (cut.returncode, cut.stderr.count("\n")) == (2, 1)
    assert "org/notes/NOTES.md" in cut.stderr


# Blocks of which one model has many, and one thread, so that it takes them in order.
SMALL_BLOCKS = """\
import os, sys
from weightscope.checkpoint import streamed
from weightscope.cli import run
streamed.BLOCK, streamed.KEPT, os.cpu_count = 4096, 4, lambda: 1
sys.argv[0] = "weightscope"
run()
"""


@pytest.mark.parametrize("command", ["lock", "diff"])
def test_a_file_is_read_from_its_begin_to_its_end(command: str, hub: Hub, home: Path, tmp_path: Path) -> None:
    """Whatever the order of the weights in the model: few blocks are kept, and none is asked for twice."""
    folder = tmp_path / "gpt2"
    folder.mkdir()
    shutil.copy(FIXTURES / "gpt2" / "config.json", folder)
    # In the order of names, which is not that of the model.
    tensors = torch.load(FIXTURES / "gpt2" / "pytorch_model.bin")
    del tensors["lm_head.weight"]
    save_file({name: tensor.numpy() for name, tensor in sorted(tensors.items())}, folder / "model.safetensors")
    hub.add("org/gpt2", folder)
    small = command_line(["-c", SMALL_BLOCKS], hub, home, tmp_path / "empty")
    more = ["--values", "--json", str(FIXTURES / "gpt2")] if command == "diff" else []
    result(small(command, "org/gpt2", "--stream", "1MB", *more))
    blocks = [request.range for request in hub.requests if request.status == 206 and request.sent == 4096]
    assert len(blocks) == len(set(blocks)) >= 20


@pytest.fixture
def wide(hub: Hub, tmp_path: Path) -> Path:
    """A model of one matrix that takes three blocks, published as org/wide."""
    folder = tmp_path / "wide"
    folder.mkdir()
    draw = np.random.default_rng(0)
    tensors = {"a.weight": draw.standard_normal((1500, 1500), dtype=np.float32), "b.weight": np.ones((4, 4), "f4")}
    save_file(tensors, folder / "model.safetensors")
    hub.add("org/wide", folder)
    return folder


def test_blocks_are_fetched_once(wide: Path, ws: Run, hub: Hub) -> None:
    found = result(ws("stats", "org/wide", "--stream", "9.1MB", "--json"))
    assert found["tensors"] == built(weightscope.open(wide).stats().tensors)
    large = [request.range for request in hub.requests if request.status == 206 and request.sent > 100_000]
    assert len(large) == len(set(large)) == 3


def test_a_sample_takes_little_of_a_large_tensor(wide: Path, ws: Run, hub: Hub) -> None:
    """Two rows at 16 places of 9 MB; less than that is refused before anything is read."""
    refused = ws("stats", "org/wide", "--sample", "--stream", "100kB")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "more than the 100,000 that were agreed to" in refused.stderr
    found = result(ws("stats", "org/wide", "--sample", "--stream", "1MB", "--json"))
    assert found["tensors"] == built(weightscope.open(wide).stats(sample=1 << 16).tensors)
    assert hub.sent < 1_200_000


FAULTS: dict[str, tuple[Fault, str]] = {
    "short": (faults.shorter, "different part of the file"),
    "another": (faults.another_part, "different part of the file"),
    "grown": (faults.other_size, "bytes"),
    "refuses": (faults.status(403), "access is forbidden"),
    "whole": (faults.ignores_ranges, "ignores ranges"),
    "drops": (faults.drops, "4 times"),
}


def failing_later(fault: Fault) -> Fault:
    """A fault of values alone: what is asked for from the file's beginning, its header, comes as it should."""

    def some(handler: Any, content: faults.Content, start: int, stop: int) -> None:
        (faults.normal if start < 1000 and stop - start < 1_000_000 else fault)(handler, content, start, stop)

    return some


@pytest.mark.parametrize("name", FAULTS)
def test_a_server_that_does_not_send_what_it_should(name: str, wide: Path, hasty: Run, hub: Hub, home: Path) -> None:
    fault, words = FAULTS[name]
    hub.fail("model.safetensors", failing_later(fault))
    ran = hasty("stats", "org/wide", "--stream", "10MB")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran.stderr
    assert "org/wide/model.safetensors" in ran.stderr
    assert words in ran.stderr
    assert not stored(home)


def test_a_connection_that_is_lost_once(wide: Path, hasty: Run, hub: Hub) -> None:
    hub.fail("model.safetensors", faults.normal, faults.normal, faults.drops, faults.normal)
    found = result(hasty("stats", "org/wide", "--stream", "10MB", "--json"))
    assert found["tensors"] == built(weightscope.open(wide).stats().tensors)


def test_a_file_that_changes_after_its_header(wide: Path, ws: Run, hub: Hub, tmp_path: Path) -> None:
    """At an address; what the Hub has of a commit cannot change."""
    other = tmp_path / "other"
    other.mkdir()
    save_file({"a.weight": np.ones((1500, 1500), "f4"), "b.weight": np.ones((4, 4), "f4")}, other / "model.safetensors")
    changed = faults.Content(other / "model.safetensors", large=True)

    def later(handler: Any, content: faults.Content, start: int, stop: int) -> None:
        is_header = start == 0 and stop < 1_000_000
        sent = content if is_header else changed
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{content.size}", "ETag": f'"{sent.etag}"'}
        handler.send(206, sent.read(start, stop), headers)

    hub.fail("/plain/org/wide/model.safetensors", later)
    ran = ws("stats", f"{hub.endpoint}/plain/org/wide/model.safetensors", "--stream", "10MB")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "the file changed while it was read" in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("command", ["stats", "diff"])
def test_ctrl_c_while_a_server_is_waited_for(command: str, wide: Path, hub: Hub, home: Path, tmp_path: Path) -> None:
    """What is known so far is shown, and nobody waits for the server."""
    hub.fail("model.safetensors", failing_later(faults.hangs))
    started = ["stats"] if command == "stats" else ["diff", "--values", str(wide)]
    process = subprocess.Popen(
        [sys.executable, "-m", "weightscope", *started, "org/wide", "--stream", "10MB", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=environment(hub, home, HF_HUB_DOWNLOAD_TIMEOUT="60"),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while sum("model.safetensors" in path for path in hub.begun) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["complete"] is False
    assert "Traceback" not in error
