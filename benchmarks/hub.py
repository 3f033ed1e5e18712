"""Serve a directory as a repository of the tests' Hub on loopback, and count.

Prints the endpoint; then, for each line on standard input, what it sent since: bytes, answers, answers with a header.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.remote.hub import Hub, running

REPO = "org/model"


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds added to each request")
    parser.add_argument("--direct", action="store_true", help="send large files itself: no redirect to another host")
    arguments = parser.parse_args()
    with running(Hub(delay=arguments.delay, redirect=not arguments.direct)) as hub:
        hub.add(REPO, arguments.directory)
        print(hub.endpoint, flush=True)
        for _ in sys.stdin:
            shards = [request for request in hub.requests if ".safetensors" in request.path and request.sent]
            print(hub.sent, len(hub.requests), len(shards), flush=True)
            hub.requests.clear()


if __name__ == "__main__":
    main()
