"""A page about a model that is not here: of its headers alone, and on request of its values."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.remote.conftest import FIXTURES, Run
from tests.remote.hub import Hub
from tests.report.pages import Page, run_report, told


def test_headers_are_enough(ws: Run) -> None:
    there, here = Page(ws("report", "org/llama").stdout), Page(run_report(str(FIXTURES / "llama")).stdout)
    assert there.data["sets"] == here.data["sets"]
    assert "28,296" in there.text


def test_values_are_fetched_by_who_agrees(ws: Run) -> None:
    refused = ws("report", "org/llama", "--values")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "report needs the values, which are not here: 59.7 kB in 4 files" in refused.stderr
    assert "--stream 1MB reads them over the network and stores nothing; --download stores them" in refused.stderr
    fetched = ws("report", "org/llama", "--values", "--download")
    assert fetched.returncode == 0, fetched.stderr
    assert "Valuesok" in Page(fetched.stdout).text


def test_values_are_read_over_the_network_once_and_not_kept(ws: Run, hub: Hub, home: Path) -> None:
    ran = ws("report", "org/llama", "--values", "--stream", "66kB")
    assert (ran.returncode, ran.stderr) == (0, "")
    page = Page(ran.stdout)
    assert "Valuesok" in page.text
    for role in told("stats", str(FIXTURES / "llama"))["roles"]:
        assert f"{role['figures']['absmax']:.4g}" in page.text
    assert not [*home.rglob("*.safetensors")]
    two = ws("report", "org/llama", str(FIXTURES / "llama"), "--values", "--stream", "1MB")
    assert (two.returncode, two.stderr) == (0, "")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "--stream requires --values"),
        (("--values", "--forward"), "--forward needs the weights here; use --download instead of --stream"),
        (("--values", "--heatmap", "q_proj"), "--heatmap needs the weights here; use --download instead of --stream"),
        (("--values", "--download"), "--stream and --download are mutually exclusive"),
    ],
)
def test_what_cannot_be_read_over_the_network(more: tuple[str, ...], said: str, ws: Run) -> None:
    ran = ws("report", "org/llama", "--stream", "1MB", *more)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"weightscope: {said}\n")
