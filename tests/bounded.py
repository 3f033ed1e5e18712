"""A command in a process of its own that may take so much time and memory, and what it took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

# What any hostile input may take.
SECONDS, BYTES = 5.0, 1 << 30
# The limits of the process itself lie above, so that a test says by how much an input goes too far.
_PROGRAM = """\
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
started = time.process_time()
def peak():
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except OSError:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used << 10
report, program = sys.argv[1:3]
sys.argv[:3] = ["weightscope"]
try:
    exec(program)
finally:
    sys.stdout.flush()
    with open(report, "w") as file:
        json.dump([time.process_time() - started, peak()], file)
"""
COMMAND = "from weightscope.cli import main; main()"


class Bounded(NamedTuple):
    """How it ended: exit code, what it wrote, seconds of CPU time and bytes of memory at most."""

    code: int
    out: str
    err: str
    seconds: float
    bytes: int


def run_bounded(tmp_path: Path, *arguments: object, program: str = COMMAND) -> Bounded:
    """`weightscope` with these arguments, or a program's text, as a process whose time and memory are measured."""
    measured = tmp_path / "measured.json"
    measured.unlink(missing_ok=True)
    command = [sys.executable, "-c", _PROGRAM, str(measured), program]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300)
    taken: list[Any] = json.loads(measured.read_text()) if measured.exists() else [float("inf"), 1 << 62]
    return Bounded(done.returncode, done.stdout, done.stderr, *taken)


def assert_cheap(done: Bounded) -> None:
    """Nothing went beyond what a hostile input may take, and no traceback reached the user."""
    assert "Traceback" not in done.err, done.err
    assert done.seconds <= SECONDS, f"{done.seconds:.1f} s of CPU time"
    assert done.bytes <= BYTES, f"{done.bytes:,} bytes"


def assert_refused_cheaply(done: Bounded, *words: str) -> None:
    """One line on standard error, exit code 2, within the bounds."""
    assert_cheap(done)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.startswith("weightscope: ")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err
