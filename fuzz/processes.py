"""The same commands as processes of their own, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fuzz.case import Case, FoundError
from fuzz.commands import HERE, Commands, format_of
from fuzz.verdict import hold_output

# Limits of this process are lower than what importing torch reserves; nothing but the command follows them.
PROGRAM = """\
import resource
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
from weightscope.cli import main
main()
"""
SECONDS = 50.0


class Processes(Commands):
    """Commands on hostile checkpoints, each a process."""

    batch = 500
    starts = (PROGRAM,)

    def prepare(self, scratch: Path) -> tuple[str, ...]:
        """The settings of a user who has none."""
        home = scratch / "home"
        home.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "WEIGHTSCOPE"))}
        self._environment = kept | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HOME": str(home)}
        return (str(home),)

    def run(self, case: Case, folder: Path) -> None:
        """Run the command, and hold its output to its format."""
        try:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, *case.arguments],
                capture_output=True, check=False, timeout=SECONDS, cwd=folder / HERE, env=self._environment,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise FoundError(f"{case.kind} still runs after {SECONDS:.0f} s") from None
        out, err = (raw.decode("utf-8", "surrogateescape") for raw in (done.stdout, done.stderr))
        hold_output(format_of(case.arguments), done.returncode, out, err)
