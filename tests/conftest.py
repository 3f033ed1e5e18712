"""Shared fixtures: the oracle runs offline and quietly, and each tiny model is built once."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser  # noqa: F401 - a fixture of several folders

ROOT = Path(__file__).parents[1]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# A job that runs the tests has a page of its own.
os.environ.pop("GITHUB_STEP_SUMMARY", None)
# Or every command that a test starts would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Some more than there are cores: tests wait for servers, limits and processes of their own."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory to which transformers saved the tiny model of a name, once for all workers; only to be read."""
    from tests.families.tiny import TINY

    by_name = {tiny.name: tiny for tiny in TINY}
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "saved"
    shared.mkdir(exist_ok=True)

    @cache
    def save(name: str) -> Path:
        directory = shared / name
        if not directory.exists():
            made = tmp_path_factory.mktemp(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                by_name[name].build().save_pretrained(made)
            # Another worker may have been quicker.
            with suppress(OSError):
                made.rename(directory)
        return directory

    return save


@pytest.fixture(autouse=True, scope="session")
def _processes_hear_ctrl_c() -> None:
    """A shell that starts the tests in the background has SIGINT ignored, and so would the commands that they start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _pytest_keeps_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands within this process leave SIGINT to pytest."""
    monkeypatch.setattr("weightscope.cli.end_on_interrupt", lambda: None)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run("forward", …)` as (exit code, standard output, standard error)."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(ROOT)

    from weightscope import cli

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["weightscope", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
