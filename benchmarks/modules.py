"""Run the command line, then list on standard error what it imported."""

from __future__ import annotations

import contextlib
import sys

before = set(sys.modules)

from weightscope.cli import main  # noqa: E402 - what was there before is not its doing

with contextlib.suppress(SystemExit):
    main()
print(*sorted(set(sys.modules) - before), file=sys.stderr)
