"""What a pull request changes in checkpoints, as Markdown: a step of the action that needs the standard library alone.

It needs no token. Usage: compare.py MODELS BEFORE VALUES OUTPUT: MODELs one a line, a checkout of the base or nothing,
true to compare values, and the file to write. Nothing changed writes an empty file; no pull request writes none.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

WEIGHTSCOPE = str(Path(sys.executable).with_name("weightscope"))
# Pointers are enough to compare configs; names of files are no patterns; nobody is there to be asked for a password.
GIT = os.environ | {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_LITERAL_PATHSPECS": "1", "GIT_TERMINAL_PROMPT": "0"}
CONFIGS_ONLY = "Only the configs were compared: the weights of one side could not be read. The log of the job says why."
UNREAD = "Could not be compared. The log of the job says why."
# So many changed files of a MODEL are named.
SHOWN = 10


class GitError(Exception):
    """A command of git's that failed, with what it said."""


def git(*arguments: str, fails: int = 0) -> str:
    """What a command of git's prints.

    Raises:
        GitError: its exit code is above `fails`.
    """
    run = subprocess.run(["git", *arguments], env=GIT, capture_output=True, text=True, errors="replace", check=False)
    if run.returncode not in range(fails + 1):
        raise GitError(" ".join(run.stderr.split()) or f"git {arguments[0]} failed")
    return run.stdout


def git_has(thing: str) -> bool:
    """Whether git has a commit or a file of one."""
    return subprocess.run(["git", "cat-file", "-e", thing], env=GIT, capture_output=True, check=False).returncode == 0


def changed_files(*arguments: str) -> list[str]:
    """The paths that `git diff` of these arguments names; git ends with 1 if files outside of a repository differ."""
    fields = git("diff", "--name-status", "--no-renames", "-z", *arguments, fails=1).split("\0")
    return fields[1::2]


class Given:
    """A checkout of the base that the workflow made."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, model: str) -> Path | None:
        """Where a MODEL lies in it, if it does."""
        path = self._root / model
        return path if path.exists() else None

    def changes(self, model: str) -> list[str]:
        """The files of a MODEL that the pull request changes."""
        before, after = self._root / model, Path(model)
        if not (before.exists() and after.exists()):
            return [model] if before.exists() or after.exists() else []
        return [_within(path, before, after) for path in changed_files("--no-index", "--", str(before), model)]


class Fetched(Given):
    """A worktree at the commit of the base, in which only the MODELs that differ are checked out, without LFS."""

    def __init__(self, root: Path, commit: str) -> None:
        super().__init__(root)
        self._commit = commit

    def changes(self, model: str) -> list[str]:
        """The files of a MODEL that the pull request changes; if there are any, it is checked out."""
        paths = changed_files(self._commit, "HEAD", "--", model)
        if paths and git_has(f"{self._commit}:./{model}"):
            git("-C", str(self._root), "checkout", "--quiet", self._commit, "--", model)
        return [_within(path, Path(model)) for path in paths]


def _within(path: str, *models: Path) -> str:
    """A file's path as seen from the MODEL, in whichever of these it lies; of a MODEL that is a file, its name."""
    within = [Path(path).relative_to(model) for model in models if Path(path).is_relative_to(model)]
    return within[0].as_posix() if within and within[0].name else Path(path).name


@contextmanager
def base_of(pull_request: dict[str, dict[str, str]], before: str) -> Iterator[Given]:
    """The base of the pull request: as given, or as git has it for as long as it is needed.

    Raises:
        GitError: git does not have it.
    """
    if before:
        yield Given(Path(before))
        return
    commit = str(pull_request["base"]["sha"])
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise GitError("the event names no commit of the base")
    # A commit that is here is not fetched: a depth would cut off the history of the clone.
    if not git_has(f"{commit}^{{commit}}"):
        git("fetch", "--quiet", "--no-tags", "--depth=1", "origin", commit)
    with tempfile.TemporaryDirectory(dir=os.environ.get("RUNNER_TEMP"), prefix="weightscope-") as directory:
        root = Path(directory) / "base"
        git("worktree", "add", "--quiet", "--no-checkout", "--detach", str(root), commit)
        try:
            yield Fetched(root, commit)
        finally:
            git("worktree", "remove", "--force", str(root))


def weightscope(*arguments: str) -> str | None:
    """What a command writes as Markdown, below its own heading; None if it could not be done, which the log tells."""
    run = subprocess.run(
        [WEIGHTSCOPE, arguments[0], "--format=markdown", *arguments[1:]],
        stdout=subprocess.PIPE,
        check=False,
    )
    if run.returncode not in (0, 1):
        return None
    return run.stdout.decode().partition("\n")[2].strip()


def section(model: str, before: Path | None, files: list[str], *, values: bool) -> str:
    """What became of one MODEL."""
    title = f"## {code(model)}"
    if not Path(model).exists():
        return f"{title}\n\nRemoved."
    if before is None:
        return f"{title}\n\nNew.\n\n{weightscope('params', '--', model) or UNREAD}"
    more = f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else ""
    changed = f"Changed: {', '.join(map(code, files[:SHOWN]))}{more}"
    return "\n\n".join((title, changed, difference(before, Path(model), values=values)))


def difference(before: Path, after: Path, *, values: bool) -> str:
    """What `diff` says of a MODEL before and after, or of its configs if the weights cannot be read."""
    if compared := weightscope("diff", *(["--values"] if values else []), "--", str(before), str(after)):
        return compared
    configs = [path / "config.json" for path in (before, after)]
    if all(config.is_file() for config in configs) and (compared := weightscope("diff", "--", *map(str, configs))):
        return f"{CONFIGS_ONLY}\n\n{compared}"
    return UNREAD


def code(text: str) -> str:
    """A name as code, in which Markdown sees nothing else."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return f"`{shown.replace('`', chr(39))}`"


def inside(models: str) -> Iterator[str]:
    """The MODELs below the working directory, as paths relative to it; others are not of this repository."""
    for line in filter(None, map(str.strip, models.splitlines())):
        path = os.path.relpath(line)
        if not path.startswith(os.pardir):
            yield Path(path).as_posix()


def compare(models: str, before: str, *, values: bool, pull_request: dict[str, dict[str, str]]) -> str:
    """A section for each MODEL that the pull request changes; nothing if it changes none.

    Raises:
        GitError: the base could not be had.
    """
    with base_of(pull_request, before) as base:
        changed = {model: base.changes(model) for model in inside(models)}
        sections = (section(model, base.has(model), files, values=values) for model, files in changed.items() if files)
        return "\n\n".join(sections)


def main(models: str, before: str, values: str, output: str) -> None:
    """Write the comparison, or say in the log why there is none."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    if "pull_request" not in event:
        stop("notice", "not a pull request, so nothing was compared")
    if before and not Path(before).is_dir():
        stop("warning", "input before is no directory, so nothing was compared")
    try:
        text = compare(models, before, values=values == "true", pull_request=event["pull_request"])
    except GitError as error:
        stop("warning", f"nothing was compared, the base of the pull request could not be had: {error}")
    Path(output).write_text(text, encoding="utf-8")


def stop(kind: str, text: str) -> NoReturn:
    """Say why nothing was compared, as an annotation, and end without failing the job."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::{kind} title=weightscope::{escaped}")
    sys.exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
