"""A job of GitHub Actions on a pull request: real repositories, a runner's variables, and the action's own steps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
BASH, GIT = shutil.which("bash"), shutil.which("git")
# This checkout's weightscope, as an environment of the action would have it.
WEIGHTSCOPE = (
    f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom weightscope.cli import run\nrun()\n"
)


def git(directory: Path, *arguments: str) -> str:
    assert GIT
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    run = subprocess.run([GIT, *names, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return run.stdout.strip()


class Job:
    """A job on a pull request: the repository before, a checkout of what it becomes, and a runner's variables."""

    def __init__(self, directory: Path, api: str) -> None:
        self.directory, self.api = directory, api
        self.origin, self.checkout = directory / "origin", directory / "checkout"
        self.page, self.output = directory / "page.md", directory / "output"
        self.temporary = directory / "temp"
        self.tools = self.temporary / "weightscope" / "bin"
        self.tools.mkdir(parents=True)
        (self.tools / "python").symlink_to(sys.executable)
        (self.tools / "weightscope").write_text(WEIGHTSCOPE)
        (self.tools / "weightscope").chmod(0o755)
        self.origin.mkdir()
        git(self.origin, "init", "-q")
        self.base = ""

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        path = self.origin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def commit(self) -> str:
        git(self.origin, "add", "-A")
        git(self.origin, "commit", "-q", "--allow-empty", "-m", "x")
        return git(self.origin, "rev-parse", "HEAD")

    def branch(self) -> None:
        """What is there by now is the base; what comes after is the pull request."""
        self.base = self.commit()
        git(self.origin, "checkout", "-q", "-b", "pull")

    def check_out(self, *options: str) -> None:
        self.commit()
        shutil.rmtree(self.checkout, ignore_errors=True)
        git(self.directory, "clone", "-q", "-b", "pull", *options, self.origin.as_uri(), str(self.checkout))

    def bin(self) -> str:
        """Where the commands are: as the step that installs them says, if it ran."""
        if not self.output.exists():
            return str(self.tools)
        return self.output.read_text().removeprefix("bin=").rstrip("\n")

    def step(self, name: str, model: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """One step, as GitHub's runner starts it."""
        event = self.directory / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7, "base": {"sha": self.base}}} if self.base else {}))
        given = {f"inputs.{key}": data.get("default", "") for key, data in ACTION["inputs"].items()}
        given |= {"inputs.model": model, "inputs.comment": "true", "inputs.token": "secret"}
        given |= {f"inputs.{key}": value for key, value in inputs.items()}
        given |= {"steps.python.outputs.python-path": sys.executable, "steps.install.outputs.bin": self.bin()}
        runner = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_API_URL": self.api,
            "GITHUB_REPOSITORY": "owner/models",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_STEP_SUMMARY": str(self.page),
            "GITHUB_OUTPUT": str(self.output),
        }
        values = {
            variable: given[value.removeprefix("${{ ").removesuffix(" }}")]
            for variable, value in STEPS[name]["env"].items()
        }
        command = [str(BASH), "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", STEPS[name]["run"]]
        return subprocess.run(
            command, env=runner | values, cwd=self.checkout, capture_output=True, text=True, check=False
        )

    def comment(self, model: str, **inputs: str) -> tuple[str, str]:
        """The steps that compare and comment: what each of them prints."""
        printed = []
        for name in ("Compare", "Comment"):
            run = self.step(name, model, **inputs)
            assert run.returncode == 0, run.stderr
            printed.append(run.stdout + run.stderr)
        return printed[0], printed[1]
