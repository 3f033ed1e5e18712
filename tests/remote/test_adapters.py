"""Adapters on the Hub, and bases there."""

from __future__ import annotations

import json
from pathlib import Path

from tests.remote.conftest import FIXTURES, Run
from tests.remote.hub import Hub

ADAPTERS = FIXTURES / "adapters"


def test_an_adapter_is_read_from_afar(hub: Hub, ws: Run) -> None:
    hub.add("org/lora", ADAPTERS / "peft" / "lora")
    hub.add("tiny/llama", ADAPTERS / "bases" / "llama")
    done = ws("inspect", "org/lora", "--json")
    assert done.returncode == 0, done.stderr
    adapter = json.loads(done.stdout)["adapter"]
    # The base that it names is on the Hub as well, and is not asked for.
    assert (adapter["trainable"], adapter["base"], adapter["held_against"]) == (1152, "tiny/llama", None)
    done = ws("check", "org/lora", "--base", "tiny/llama", "--json")
    assert (done.returncode, json.loads(done.stdout)["findings"]) == (0, [])


def test_an_adapter_that_is_not_here_is_not_applied(hub: Hub, ws: Run) -> None:
    hub.add("org/lora", ADAPTERS / "peft" / "lora")
    done = ws("forward", str(Path(ADAPTERS / "bases" / "llama")), "--tokens", "1", "--adapter", "org/lora")
    assert done.returncode == 2
    assert "only the header was fetched" in done.stderr
