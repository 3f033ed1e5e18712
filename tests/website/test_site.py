"""The site builds strictly and without a network, and what is built loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LACKING = [package for package in ("mkdocs", "material", "mkdocstrings") if find_spec(package) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=f"{', '.join(LACKING)} not installed: weightscope-cli[docs]"),
]
# MkDocs in a process that fails when it asks for a connection or an address.
BUILD = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(refuse)
from mkdocs.__main__ import cli
cli()
"""
# What a browser fetches by itself, and from where.
FETCHED = re.compile(r"<(?:script|img|iframe|link|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, "build", "--strict", "--quiet", "--site-dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site) for path in site.rglob("*.html")}
    assert built == pages | {Path(f"{name}.html") for name in ("404", "index", "security", "contributing", "changelog")}


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert FETCHED.findall(path.read_text()) == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", path.read_text()), path


def test_the_families_are_filtered_by_all_words_that_are_typed(site: Path, browser: Any) -> None:
    asked: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "families.html").as_uri())
    page.get_by_role("searchbox", name="Filter").fill("qwen2 vl")
    shown = page.locator("article table").first.locator("tbody tr:visible td:first-child").all_inner_texts()
    told = page.get_by_role("status").inner_text()
    page.close()
    assert shown == ["qwen2_5_vl", "qwen2_5_vl_text", "qwen2_vl", "qwen2_vl_text"]
    assert told.startswith("4 of ")
    assert all(url.startswith("file:") for url in asked)


def test_links_out_of_the_folder_of_pages_lead_to_pages(site: Path) -> None:
    assert 'href="architecture.html"' in (site / "contributing.html").read_text()
    assert 'src="pictures/check.svg"' in (site / "index.html").read_text()
    assert 'href="index.html#what-you-can-rely-on"' in (site / "changelog.html").read_text()
    assert ">llama.py</code>" in (site / "families.html").read_text()


def test_python_names_are_documented(site: Path) -> None:
    import weightscope

    page = (site / "python.html").read_text()
    for name in set(weightscope.__all__) - {"__version__", "WeightscopeError"}:
        assert f'id="weightscope.{name}"' in page
    assert 'id="weightscope.errors.WeightscopeError"' in page


def test_nested_lists_are_nested_on_the_site_too() -> None:
    """GitHub nests by the width of the mark above, MkDocs by four spaces."""
    for path in [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]:
        assert not re.search(r"^ {1,3}(?:[-*+] |\d+\. |```)", path.read_text(), re.MULTILINE), path


def test_links_to_other_files_lead_to_the_repository_once_it_is_named() -> None:
    """Before that they are names: a link that leads nowhere is worse than none."""
    from website.hooks import linked

    text = "[qwen3.py](../weightscope/families/text/qwen3.py#L5), [Memory](memory.md#training), [here](#limits)"
    kept = "[Memory](memory.md#training), [here](#limits)"
    assert linked(text, "docs/families.md", "families.md", None) == f"`qwen3.py`, {kept}"
    assert linked(text, "docs/families.md", "families.md", "https://host/us/it/") == (
        f"[qwen3.py](https://host/us/it/blob/main/weightscope/families/text/qwen3.py#L5), {kept}"
    )
    assert linked("[a](docs/ci.md)", "README.md", "index.md", None) == "[a](ci.md)"
    assert (
        linked("[a](../../SECURITY.md)", "docs/commands/check.md", "commands/check.md", None) == "[a](../security.md)"
    )
