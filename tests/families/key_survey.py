"""All disagreements of the key-by-key test, as lines: `python -m tests.families.key_survey [MODEL_TYPE …]`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path


def main() -> None:
    """Each key of the named types (all, unless some are named) changed alone; what agrees is only counted."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import torch

    from tests.families.key_oracle import compare
    from tests.families.key_tables import expected
    from tests.families.keys import changes_of, types

    torch.set_num_threads(1)
    for model_type in sys.argv[1:] or types():
        counts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as directory:
            for change in changes_of(model_type):
                outcome = compare(change, Path(directory) / "model")
                counts[outcome.verdict] += 1
                if outcome.verdict in ("agrees", "skipped") or expected(model_type, change, outcome):
                    continue
                value = json.dumps(outcome.value)
                print(f"{change.tiny.name} ({change.base}) {change.key} = {value}: {outcome.verdict}: {outcome.detail}")
        print(f"{model_type}: {dict(counts)}", flush=True)


if __name__ == "__main__":
    main()
