"""Measure a look at a model that is not here against huggingface_hub's own, on a server with 30 ms in each request."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import WEIGHTSCOPE, Figure, environment, header_bytes, run

HERE = Path(__file__).resolve().parent
DELAY = 0.03
REPO = "org/model"
PEER = (sys.executable, str(HERE / "peer_headers.py"), REPO)


class Cost(NamedTuple):
    """What one process took and what the server sent it."""

    seconds: float
    sent: int
    requests: int
    shards: int


class Server:
    """A hub in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.endpoint = self._line()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def cost(self, command: tuple[str, ...], home: str) -> Cost:
        """Run a command against it."""
        seconds = run(command, {"HF_ENDPOINT": self.endpoint, "HF_HOME": home, "HF_HUB_OFFLINE": "0"}).seconds
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Cost(seconds, *map(int, self._line().split()))


@contextmanager
def serving(directory: Path, *options: str) -> Iterator[Server]:
    """The directory, as a repository."""
    command = [sys.executable, str(HERE / "hub.py"), str(directory), "--delay", str(DELAY), *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environment(), stdin=pipe, stdout=pipe) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin
            process.stdin.close()


def afar(title: str, directory: Path, rounds: int, *options: str, limit: float | None = 0.3) -> list[Figure]:
    """First looks, each with an empty cache, in turns with the peer's; and second looks."""
    first: list[Cost] = []
    again: list[Cost] = []
    peer: list[Cost] = []
    start: list[float] = []
    inspect = (*WEIGHTSCOPE, "inspect", REPO)
    with serving(directory, *options) as server:
        for number in range(rounds + 1):
            home = tempfile.mkdtemp(prefix="weightscope-bench-")
            costs = server.cost(inspect, home), server.cost(inspect, home), server.cost(PEER, f"{home}/peer")
            startup = run((*WEIGHTSCOPE, "--version")).seconds
            shutil.rmtree(home)
            # The first round warms what the system caches.
            if number:
                for costs_of, cost in zip((first, again, peer), costs, strict=True):
                    costs_of.append(cost)
                start.append(startup)
    headers, shards = header_bytes(directory), len(list(directory.glob("*.safetensors")))
    seconds = {name: statistics.median(cost.seconds for cost in of) for name, of in
               (("first", first), ("again", again), ("peer", peer))}  # fmt: skip
    values: list[tuple[str, float, str, float | None]] = [
        ("inspect", seconds["first"], "s", None),
        ("get_safetensors_metadata", seconds["peer"], "s", None),
        ("inspect / get_safetensors_metadata", seconds["first"] / seconds["peer"], "×", limit),
        ("beyond start-up", seconds["first"] - statistics.median(start), "s", 1.5),
        ("bytes sent / headers and index", max(cost.sent for cost in first) / headers, "×", 1.05),
        ("the same of get_safetensors_metadata", max(cost.sent for cost in peer) / headers, "×", None),
        ("answers with a header, a shard", max(cost.shards for cost in first) / shards, "×", 2),
        ("a second look", seconds["again"], "s", None),
        ("headers sent for it", max(cost.shards for cost in again), "", 0),
    ]
    return [Figure(group=title, name=name, value=value, unit=unit, limit=most) for name, value, unit, most in values]
