"""The fuzzer finds nothing in inputs that are always the same, and what it should find it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="its limits are Linux's")


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize(("target", "inputs"), [("readers", 10_000), ("commands", 300), ("hub", 40), ("processes", 10)])
def test_nothing_is_found(target: str, inputs: int, tmp_path: Path) -> None:
    done = python("-m", "fuzz", "--target", target, "--inputs", str(inputs), "--seed", "10", "--finds", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{target}: {inputs:,} inputs of seed 10 in ")
    assert done.stdout.endswith(" s, 0 finds\n")


# What a reader with a fault in it does, and what is said of that.
FAULTY = {
    "raise KeyError(1)": "KeyError at elsewhere",
    "raise Exception('x')": "Exception at elsewhere",
    "open('written', 'w')": "open",
    "os.mkdir('made')": "os.mkdir",
    "os.remove(path)": "os.remove",
    "subprocess.run(['true'])": "subprocess.Popen",
    "os.system('true')": "os.system",
    "os.fork()": "os.fork",
    "socket.socket().connect(('127.0.0.1', 9))": "socket.connect",
    "socket.getaddrinfo('example.org', 80)": "socket.getaddrinfo",
    "pickle.loads(pickle.dumps(os.getcwd))": "pickle.find_class",
    "bytes(1 << 31)": "MemoryError at elsewhere",
    "os.abort()": "the process ends with signal SIGABRT",
    "os._exit(3)": "the process exits with 3",
}
# Stands for the readers of safetensors files.
PROGRAM = """\
import os, pickle, socket, subprocess, sys
import fuzz.readers
prepare = fuzz.readers.Readers.prepare
def faulty(path):
    {fault}
def prepared(self, scratch):
    made = prepare(self, scratch)
    self._read = dict.fromkeys(self._read, faulty)
    return made
fuzz.readers.Readers.prepare = prepared
from fuzz.worker import main
main()
"""


@LINUX
@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_is_found(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fuzz.campaign
    from fuzz.campaign import Plan, run

    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(fault=fault))
    monkeypatch.setattr(fuzz.campaign, "WORKER", (str(program),))
    report = run(Plan(target="readers", seed=3, inputs=1, batch=10, finds=tmp_path / "finds"))
    assert list(report.finds) == [FAULTY[fault]]
    (found,) = report.finds[str(FAULTY[fault])]
    kept = json.loads((Path(found["folder"]) / "find.json").read_text())
    assert kept["repeat"] == "python -m fuzz --target readers --seed 3 --first 0 --inputs 1"
    assert not (ROOT / "written").exists()
    assert not (ROOT / "made").exists()


@LINUX
def test_the_same_seed_gives_the_same_inputs() -> None:
    from fuzz.targets import target_of
    from fuzz.worker import random_of

    for name in ("readers", "commands"):
        first, again = ([target_of(name).make(random_of(name, 7, number)) for number in range(20)] for _ in range(2))
        assert first == again


@LINUX
@pytest.mark.parametrize(
    ("format", "code", "out", "err", "said"),
    [
        ("table", 2, "", "weightscope: a.bin: broken\n", None),
        ("table", 0, "fine\n", "", None),
        ("csv", 0, "name,count\n'=1,-5\n", "", None),
        ("table", 2, "", "Traceback (most recent call last):\n", "Traceback"),
        ("table", 2, "", "weightscope: internal error (KeyError: 1)\n", "internal error"),
        ("table", 2, "", "", "standard error"),
        ("table", 2, "", "weightscope: a\nb\n", "standard error"),
        ("table", 3, "", "weightscope: a\n", "exit code 3"),
        ("table", 0, "\x1b[31m\n", "", "control character"),
        ("markdown", 0, "\u202e\n", "", "control character"),
        ("markdown", 0, "::error::x\n", "", "an order"),
        ("json", 0, "{", "", "json that is none"),
        ("csv", 0, "name\n=1\n", "", "a formula"),
    ],
)
def test_what_output_must_be(format: str, code: int, out: str, err: str, said: str | None) -> None:
    from fuzz.case import FoundError
    from fuzz.verdict import hold_output

    if said is None:
        hold_output(format, code, out, err)
        return
    with pytest.raises(FoundError, match=said):
        hold_output(format, code, out, err)


def test_a_smaller_input_is_looked_for() -> None:
    from fuzz.case import Case
    from fuzz.minimal import minimal

    case = Case(kind="x", files={"a": b"much before" + b"X" + b"much behind", "b": b"more"})
    assert minimal(case, lambda tried: b"X" in tried.files.get("a", b"")).files == {"a": b"X"}
