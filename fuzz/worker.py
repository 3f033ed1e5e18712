"""A process that runs inputs one after another, within limits, until its batch is done or it is told to stop.

Run as `python -m fuzz.worker TARGET SEED FIRST STEP COUNT SCRATCH`; `campaign.py` starts it and sees when it dies.
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import struct
import sys
import time
import traceback
from pathlib import Path
from random import Random

from fuzz.case import Case, FoundError, Target
from fuzz.guard import CHILD, SECONDS, Guard, limit_memory, limit_time
from fuzz.minimal import minimal
from fuzz.targets import target_of
from fuzz.verdict import signature_of

# The number of the input that runs, how many are done, and whether to stop.
STATE = struct.Struct("<qqq")
STATE_FILE, FINDS_FILE, FOLDER = "state", "finds", "case"
# Finds of one kind that are written down.
OF_ONE_KIND = 3


class Worker:
    """A target with its guard, in a folder of its own."""

    def __init__(self, name: str, seed: int, scratch: Path) -> None:
        self._name, self._seed, self._scratch = name, seed, scratch
        self._target: Target = target_of(name)
        self._folder = scratch / FOLDER
        self._folder.mkdir(exist_ok=True)
        writable = self._target.prepare(self._folder)
        target = self._target
        self._guard = Guard(writable, getattr(target, "ports", ()), getattr(target, "starts", (CHILD,)))
        self._guard.install()
        self._kinds: dict[str, int] = {}
        limit_memory()

    def run(self, first: int, step: int, count: int) -> None:
        """Inputs `first`, `first + step`, …; a find is written down and the next one follows."""
        with (self._scratch / STATE_FILE).open("r+b") as file, mmap.mmap(file.fileno(), STATE.size) as state:
            for done in range(count):
                if STATE.unpack_from(state)[2]:
                    return
                at = first + done * step
                STATE.pack_into(state, 0, at, done, 0)
                case = self._target.make(random_of(self._name, self._seed, at))
                if found := self.problem(case):
                    self._keep(at, case, *found)
                STATE.pack_into(state, 0, at, done + 1, STATE.unpack_from(state)[2])

    def problem(self, case: Case) -> tuple[str, str] | None:
        """What is wrong with how an input ends, as a signature and the details; None where nothing is."""
        self._target.place(case, self._folder)
        before = limit_time()
        found: tuple[str, str] | None = None
        try:
            with self._guard.watching():
                self._target.run(case, self._folder)
        except FoundError as error:
            found = error.signature, error.detail
        except BaseException as error:  # noqa: BLE001 - whatever else comes out is a find
            found = signature_of(error), "".join(traceback.format_exception(error))
        if self._guard.seen:
            return self._guard.seen[0].partition(" ")[0], "\n".join(self._guard.seen)
        taken = time.process_time() - before
        if found is None and taken > SECONDS:
            found = f"{case.kind} takes more than {SECONDS} s of processor time", f"{taken:.1f} s"
        return found

    def _keep(self, at: int, case: Case, signature: str, detail: str) -> None:
        self._kinds[signature] = self._kinds.get(signature, 0) + 1
        if self._kinds[signature] > OF_ONE_KIND:
            return
        smaller = minimal(case, lambda tried: (self.problem(tried) or ("",))[0] == signature)
        files = {name: base64.b64encode(content).decode() for name, content in smaller.files.items()}
        line = {
            "number": at, "kind": case.kind, "signature": signature, "detail": detail, "arguments": case.arguments,
            "faults": smaller.faults, "files": files,
        }  # fmt: skip
        with (self._scratch / FINDS_FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")


def random_of(target: str, seed: int, number: int) -> Random:
    """The source of one input, the same on every machine."""
    return Random(f"{target} {seed} {number}")


def main() -> None:
    """What `campaign.py` asks for."""
    name, seed, first, step, count, scratch = sys.argv[1:]
    sys.dont_write_bytecode = True
    worker = Worker(name, int(seed), Path(scratch))
    worker.run(int(first), int(step), int(count))
    # Threads that wait for a server need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
