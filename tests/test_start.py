"""How a run begins and ends: what is imported for it, and that nothing is lost where the process ends at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from weightscope import __version__
from weightscope.commands.app import COMMANDS
from weightscope.commands.tree import command_named, help_of

ROOT = Path(__file__).parents[1]
LLAMA = "fixtures/llama"
# The console script's own words, after something else.
RUN = "\nfrom weightscope.cli import run\nrun()\n"
# Says so where the process ends without what the interpreter does at its end.
TELLS = "import os, sys\nleave = os._exit\nos._exit = lambda code: (print('at once', file=sys.stderr, flush=True), leave(code))\n"  # noqa: E501


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
        timeout=60,
    )


def imported(*arguments: str) -> set[str]:
    """What a run imports beyond what Python has at its start."""
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom weightscope.cli import main\ntry:\n    main()\n"
        "except SystemExit:\n    print(*set(sys.modules) - before, file=sys.stderr)"
    )
    return set(python(code, *arguments).stderr.split())


def test_the_version_is_told_before_anything_is_imported() -> None:
    assert imported("--version") == {"weightscope", "weightscope.cli", "gc"}
    assert python(RUN, "--version").stdout == f"weightscope {__version__}\n"


@pytest.mark.parametrize("arguments", [["-h"], ["--version", "--help"], []])
def test_other_words_before_a_command_are_read_by_typer(arguments: list[str]) -> None:
    said = python(RUN, *arguments)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(f"weightscope {__version__}\n" if len(arguments) > 1 else "Usage: weightscope ")


def test_only_the_command_that_is_named_is_imported() -> None:
    commands = {f"weightscope.commands.{name}" for name in COMMANDS}
    assert imported("inspect", LLAMA) & commands == {"weightscope.commands.inspect"}
    assert imported("--help") & commands == set()
    # A misspelt one is told what is near.
    assert "inspect" in python(RUN, "inspekt", LLAMA).stderr


@pytest.mark.parametrize("model", [LLAMA, "fixtures/gpt2", "fixtures/runs/pipe"])
def test_nothing_that_fetches_is_imported_for_files_here(model: str) -> None:
    assert imported("inspect", model) & {"weightscope.checkpoint.streamed", "concurrent.futures", "logging"} == set()


# Modules of ours that a plain `inspect` may import: each takes 0.1 ms, whatever is in it.
MOST_MODULES = 130
# Prints the modules of which a run calls no function, beside what their import calls.
CALLS = """
import os, sys
called, imports = set(), 0
def note(frame, event, argument):
    global imports
    if event in ("call", "return") and frame.f_code.co_name == "<module>":
        imports += 1 if event == "call" else -1
    elif event == "call" and not imports:
        called.add(frame.f_code.co_filename)
from weightscope.cli import main
sys.setprofile(note)
try:
    main()
except SystemExit:
    sys.setprofile(None)
ours = {name: module.__file__ for name, module in sys.modules.items() if name.startswith("weightscope")}
idle = {name for name, file in ours.items() if file not in called and not file.endswith("__init__.py")}
print(*idle, file=sys.stderr)
"""


def test_a_plain_inspect_imports_little_that_it_does_not_call() -> None:
    loaded = imported("inspect", LLAMA)
    ours = [name for name in loaded if name.startswith("weightscope")]
    # Types and tables are needed as well; the rest may be imported where it is called, or for type checking alone.
    assert len(ours) <= MOST_MODULES, f"no function is called of {python(CALLS, 'inspect', LLAMA).stderr}"
    assert loaded & {"contextvars", "encodings.utf_8_sig", "numpy", "rich", "shlex", "tempfile"} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    assert help_of(command_named(name)).summary == COMMANDS[name]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["inspect", LLAMA], 0), (["check", "fixtures/mini"], 1), (["inspect", "/no/such/model"], 2), (["inspct"], 2)],
)
def test_exit_codes_and_output_are_as_main_has_them(arguments: list[str], code: int) -> None:
    left = python(TELLS + RUN, *arguments)
    ended = python("from weightscope.cli import main\nmain()", *arguments)
    assert left.returncode == ended.returncode == code
    assert (left.stdout, left.stderr) == (ended.stdout, f"{ended.stderr}at once\n")


@pytest.mark.parametrize("arguments", [["--version"], ["inspect", LLAMA], ["inspect", LLAMA, "-f", "json"], ["--help"]])
def test_a_full_disk_is_said(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "weightscope", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "weightscope: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", [["--version"], ["inspect", LLAMA], ["tensors", LLAMA, "-f", "json"]])
def test_of_a_reader_that_has_left_nothing_is_said(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "weightscope", *arguments],
            stdout=pipe, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
    # typer's own code for it, wherever typer is.
    assert (done.returncode, done.stderr) == (0 if arguments == ["--version"] else 1, "")


def test_what_is_to_be_done_at_exit_is_done() -> None:
    done = python(f"{TELLS}import atexit\natexit.register(print, 'later')\n{RUN}", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"weightscope {__version__}\nlater\n", "")


def test_threads_are_waited_for() -> None:
    thread = "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.5), print('later'))).start()\n"
    done = python(TELLS + thread + RUN, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"weightscope {__version__}\nlater\n", "")


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    done = python(TELLS + RUN, "tensors", LLAMA, "--format", "json", "--output", str(tmp_path / "out"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "at once\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(json.loads((tmp_path / "out").read_text())["tensors"]) == 30
