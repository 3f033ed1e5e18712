"""What is shipped with the page and was written by others is as it was published."""

from __future__ import annotations

from hashlib import sha256

from tests.report.pages import Page, run_report
from weightscope.output.report.page import ASSETS, LICENCE, SCRIPTS, STYLES

# Of package/dist/d3-hierarchy.min.js in d3-hierarchy-3.1.3.tgz on registry.npmjs.org.
D3_HIERARCHY = "971f374ce9fdbec711eb2358003e2bb755bff22ec6852dc5ebd59f987270db64"


def test_the_library_is_the_published_file() -> None:
    assert sha256((ASSETS / "vendor" / "d3-hierarchy.min.js").read_bytes()).hexdigest() == D3_HIERARCHY


def test_its_licence_lies_beside_it() -> None:
    assert "Mike Bostock" in (ASSETS / "vendor" / "d3-hierarchy.LICENSE").read_text()


def test_its_licence_is_on_every_page_that_has_it() -> None:
    licence = (ASSETS / LICENCE).read_text()
    for models in (("fixtures/llama",), ("fixtures/llama", "fixtures/gpt2")):
        assert licence in Page(run_report(*models).stdout).text


def test_every_script_and_style_is_on_the_page() -> None:
    there = {str(file.relative_to(ASSETS)) for file in ASSETS.rglob("*") if file.suffix in (".js", ".css")}
    assert there == {*SCRIPTS, *STYLES}


def test_no_script_makes_markup_of_text_or_reaches_out() -> None:
    own = [ASSETS / name for name in SCRIPTS if not name.startswith("vendor/")]
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
        "XMLHttp",
        "import(",
    )
    for file in own:
        assert not [word for word in forbidden if word in file.read_text(encoding="utf-8")], file.name
