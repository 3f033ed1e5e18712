"""Runs worker processes over the inputs of a seed, and collects what they find; one that dies is a find too."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.worker import FINDS_FILE, STATE, STATE_FILE

ROOT = Path(__file__).parents[1]
WORKER = ("-m", "fuzz.worker")
# Seconds by the clock after which an input that still runs is given up.
STUCK = 60.0
POLL = 0.1
# One allocation arena, so that threads reserve no memory that the limit would count.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(kw_only=True)
class Plan:
    """What to run: `inputs` of a target from the number `first` on, or as many as `seconds` allow."""

    target: str
    seed: int
    first: int = 0
    inputs: int | None = None
    seconds: float | None = None
    batch: int
    finds: Path


@dataclass(kw_only=True)
class Report:
    """How many inputs ran, and what they found, by signature."""

    inputs: int = 0
    finds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, find: dict[str, Any]) -> None:
        """One more."""
        self.finds.setdefault(find["signature"], []).append(find)


def run(plan: Plan) -> Report:
    """All of a plan, batch after batch."""
    report = Report()
    end = time.monotonic() + plan.seconds if plan.seconds is not None else None
    at, last = plan.first, None if plan.inputs is None else plan.first + plan.inputs
    while (last is None or at < last) and (end is None or time.monotonic() < end):
        count = plan.batch if last is None else min(plan.batch, last - at)
        with tempfile.TemporaryDirectory(prefix="weightscope-fuzz-") as scratch:
            done = _Batch(plan, at, count, Path(scratch)).run(report, end)
        report.inputs += done
        at += done
        for finds in report.finds.values():
            for find in finds:
                _save(plan, find)
        if done < count and end is not None and time.monotonic() >= end:
            break
    return report


class _Batch:
    """One worker process."""

    def __init__(self, plan: Plan, first: int, count: int, scratch: Path) -> None:
        self._plan, self._first, self._count, self._scratch = plan, first, count, scratch
        self._state = scratch / STATE_FILE
        self._state.write_bytes(STATE.pack(first, 0, 0))

    def run(self, report: Report, end: float | None) -> int:
        """Inputs that were done; one on which the worker died counts."""
        plan = self._plan
        arguments = [plan.target, plan.seed, self._first, 1, self._count, self._scratch]
        process = subprocess.Popen(
            [sys.executable, *WORKER, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            stuck = self._wait(process, end)
        finally:
            process.kill()
            said = process.communicate()[1].decode("utf-8", "replace")
        for line in self._lines():
            report.add(json.loads(line))
        number, done, _ = STATE.unpack(self._state.read_bytes())
        if process.returncode == 0:
            return int(done)
        if not done and "Worker(" in said and not stuck:
            raise RuntimeError(f"the worker does not start:\n{said}")
        report.add({"number": number, "kind": plan.target, "signature": _death(process.returncode, stuck=stuck),
                    "detail": said, "arguments": (), "faults": [], "files": {}})  # fmt: skip
        return int(done) + 1

    def _wait(self, process: subprocess.Popen[bytes], end: float | None) -> bool:
        """Until it ends, is to stop, or is stuck; whether it was."""
        seen, since = self._progress(), time.monotonic()
        while process.poll() is None:
            time.sleep(POLL)
            now = time.monotonic()
            if (progress := self._progress()) != seen:
                seen, since = progress, now
            if now - since > STUCK:
                return True
            if end is not None and now > end:
                self._stop()
                end = None
        return False

    def _progress(self) -> bytes:
        return self._state.read_bytes()[:16]

    def _stop(self) -> None:
        with self._state.open("r+b") as file:
            file.seek(16)
            file.write((1).to_bytes(8, "little"))

    def _lines(self) -> list[str]:
        path = self._scratch / FINDS_FILE
        return path.read_text().splitlines() if path.exists() else []


def _death(code: int, *, stuck: bool) -> str:
    if stuck:
        return f"an input still runs after {STUCK:.0f} s"
    if code == -signal.SIGXCPU:
        return "an input takes too much processor time and does not end"
    if code < 0:
        return f"the process ends with signal {signal.Signals(-code).name}"
    return f"the process exits with {code}"


def _save(plan: Plan, find: dict[str, Any]) -> None:
    """The files and what is known, in a folder that says target, seed and number."""
    if "folder" in find:
        return
    folder = plan.finds / f"{plan.target}-{plan.seed}-{find['number']}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    find["folder"] = str(folder)
    for number, (name, content) in enumerate(find["files"].items()):
        (folder / f"file-{number}").write_bytes(base64.b64decode(content))
        find["files"][name] = f"file-{number}"
    (folder / "find.json").write_text(json.dumps(find | {"repeat": repeat(plan, find)}, indent=2) + "\n")


def repeat(plan: Plan, find: dict[str, Any]) -> str:
    """The command that runs this input again."""
    return f"python -m fuzz --target {plan.target} --seed {plan.seed} --first {find['number']} --inputs 1"
