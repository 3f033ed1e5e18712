"""`hf weightscope`: packaging/hf-weightscope as huggingface_hub's own CLI installs and runs it.

Two things stand in for GitHub: the answers to the CLI's requests, and a file in place of the archive's address.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub.cli import extensions
from huggingface_hub.cli.hf import main

from tests.packaging.conftest import UNREACHABLE

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "packaging" / "hf-weightscope"
REPOSITORY = "https://github.com/owner/hf-weightscope"
COMMIT = "0123456789abcdef0123456789abcdef01234567"

pytestmark = pytest.mark.slow


class GitHub:
    """What GitHub says of a repository with these files."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive

    def request(self, method: str, url: str, **_: Any) -> httpx2.Response:
        raw = "https://raw.githubusercontent.com/owner/hf-weightscope/HEAD/"
        if url.startswith(raw) and (file := EXTENSION / url.removeprefix(raw)).is_file():
            return self.answer(200, file.read_text())
        if url == f"{REPOSITORY}.git/info/refs":
            return self.answer(200, f"001e# service=git-upload-pack\n0000015a{COMMIT} HEAD\x00multi_ack\n")
        if url == REPOSITORY and method == "HEAD":
            return self.answer(200, "")
        response = self.answer(404, "")
        response.raise_for_status()
        return response

    @staticmethod
    def answer(status: int, text: str) -> httpx2.Response:
        return httpx2.Response(status, text=text, request=httpx2.Request("GET", REPOSITORY))


def test_hf_installs_and_runs_it(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    top = tmp_path / "archive" / "hf-weightscope-HEAD"
    shutil.copytree(EXTENSION, top)
    archive = Path(shutil.make_archive(str(tmp_path / "HEAD"), "zip", top.parent, top.name))
    monkeypatch.setattr(extensions, "_github_request", GitHub(archive).request)
    real = subprocess.run

    def from_the_file(command: list[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        here = [archive.as_uri() if word == f"{REPOSITORY}/archive/HEAD.zip" else word for word in command]
        return real(here, **options)

    monkeypatch.setattr(extensions.subprocess, "run", from_the_file)
    # Its environment gets this repository's wheel, and not what an index has under the name.
    (tmp_path / "constraints.txt").write_text(f"weightscope-cli @ {wheel.as_uri()}\n")
    for installer in ("PIP", "UV"):
        monkeypatch.setenv(f"{installer}_CONSTRAINT", str(tmp_path / "constraints.txt"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_DISABLE_UPDATE_CHECK", "1")

    def hf(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["hf", *arguments])
        with pytest.raises(SystemExit) as end:
            main()  # type: ignore[no-untyped-call]
        captured = capfd.readouterr()
        return int(end.value.code or 0), captured.out + captured.err

    code, said = hf("extensions", "install", "owner/hf-weightscope")
    if code and UNREACHABLE.search(said):
        pytest.skip("no package index can be reached")
    assert code == 0, said
    assert hf("weightscope", "--version") == (0, "weightscope 0.1.0\n")
    code, said = hf("weightscope", "check", str(ROOT / "fixtures" / "mini"), "-q")
    assert (code, said) == (1, "failed\n")
    description = tomllib.loads((EXTENSION / "pyproject.toml").read_text())["project"]["description"]
    assert description in " ".join(hf("--help")[1].split())
