"""Run one command, its output thrown away, and print what it cost as JSON.

`measure.run` starts this small process for each: a process's peak of memory begins with that of the one it came from.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def bytes_read(pid: int) -> int | None:
    """All bytes that a process was given by read calls, from memory or disk; None where the system does not tell."""
    counters = Path(f"/proc/{pid}/io")
    try:
        return int(dict(line.split(": ") for line in counters.read_text().splitlines())["rchar"])
    except OSError:
        return None


command = sys.argv[1:]
silent = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0) for descriptor in (1, 2)]
start = time.perf_counter()
pid = os.posix_spawn(command[0], command, os.environ, file_actions=silent)
# Looked at and left, so that its counters can still be read.
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
seconds = time.perf_counter() - start
read = bytes_read(pid)
_, status, usage = os.wait4(pid, 0)
cost = {
    "code": os.waitstatus_to_exitcode(status),
    "seconds": seconds,
    "cpu": usage.ru_utime + usage.ru_stime,
    "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    "read": read,
}
print(json.dumps(cost))
