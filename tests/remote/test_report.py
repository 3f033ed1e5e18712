"""A page about a model that is not here: of its headers alone, and on request of its values."""

from __future__ import annotations

from tests.remote.conftest import FIXTURES, Run
from tests.report.pages import Page, run_report


def test_headers_are_enough(ws: Run) -> None:
    there, here = Page(ws("report", "org/llama").stdout), Page(run_report(str(FIXTURES / "llama")).stdout)
    assert there.data["sets"] == here.data["sets"]
    assert "28,296" in there.text


def test_values_are_fetched_by_who_agrees(ws: Run) -> None:
    refused = ws("report", "org/llama", "--values")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "reading values needs the weights: 59.7 kB in 4 files to download" in refused.stderr
    fetched = ws("report", "org/llama", "--values", "--download")
    assert fetched.returncode == 0, fetched.stderr
    assert "Valuesok" in Page(fetched.stdout).text
