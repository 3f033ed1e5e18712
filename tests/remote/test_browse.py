"""The browser on a model that is elsewhere: headers alone are fetched, and values are named as not here."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browse.terminal import Terminal
from tests.remote.conftest import environment
from tests.remote.hub import Hub

COMMAND = [sys.executable, "-m", "weightscope", "browse", "org/llama"]


def test_a_remote_model_is_shown_and_no_weights_are_fetched(hub: Hub, home: Path) -> None:
    terminal = Terminal(COMMAND, environment(hub, home, TERM="xterm-256color"))
    try:
        terminal.until(b"embedding")
        terminal.until(b"note")
        terminal.press(b"/lm_head\r")
        terminal.until(b"model-00004-of-00004")
        terminal.press(b"v")
        terminal.until(b"not read")
        terminal.press(b"q")
        assert terminal.ends() == 0
        assert terminal.is_as_it_was()
    finally:
        terminal.close()
