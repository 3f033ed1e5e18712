"""The command: `python -m fuzz --seconds 3600`, or `--inputs N`, of one target or of all."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from fuzz.campaign import Plan, Report, repeat, run
from fuzz.targets import NAMES, target_of

# Of the time or the inputs, how much each target gets where none is named.
SHARES = {"readers": 0.6, "commands": 0.25, "hub": 0.1, "processes": 0.05}


def main() -> int:
    """0 where nothing was found, 1 where something was."""
    asked = _parser().parse_args()
    if asked.inputs is None and asked.seconds is None:
        asked.seconds = 60.0
    found = 0
    for target in NAMES if asked.target is None else (asked.target,):
        share = SHARES[target] if asked.target is None else 1.0
        plan = Plan(
            target=target,
            seed=asked.seed,
            first=asked.first,
            inputs=None if asked.inputs is None else max(1, round(asked.inputs * share)),
            seconds=None if asked.seconds is None else asked.seconds * share,
            batch=target_of(target).batch,
            finds=asked.finds,
        )
        started = time.monotonic()
        report = run(plan)
        _say(plan, report, time.monotonic() - started)
        found += len(report.finds)
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("fuzz", description="Hostile files, commands on them, and servers, from a seed.")
    parser.add_argument("--target", choices=NAMES, help="all of them unless told")
    parser.add_argument("--inputs", type=int, help="how many")
    parser.add_argument("--seconds", type=float, help="how long; 60 where neither is given")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same inputs")
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER", help="the number of the first input")
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"), metavar="FOLDER", help="where to save finds")
    return parser


def _say(plan: Plan, report: Report, seconds: float) -> None:
    ran = f"{report.inputs:,} inputs of seed {plan.seed} in {seconds:,.0f} s"
    print(f"{plan.target}: {ran}, {len(report.finds):,} finds", flush=True)
    for signature, finds in report.finds.items():
        print(f"  {signature}")
        print(f"    {repeat(plan, finds[0])}")
        print(f"    saved in {finds[0]['folder']}")


if __name__ == "__main__":
    sys.exit(main())
