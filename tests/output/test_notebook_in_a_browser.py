"""What a notebook shows, in Chromium: it takes the width that there is, reads in it, and runs and fetches nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import weightscope as ws
from tests.helpers import F32, safetensors_bytes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog

pytest.importorskip("playwright", reason="needs playwright")
FIXTURES = Path(__file__).parents[2] / "fixtures"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\" onload='alert(3)'"


def page_of(model: ws.Model, *more: object) -> str:
    tensor = next(tensor for tensor in model.tensors.values() if tensor.kind == "weight")
    shown = [model, model.treemap(), model.check(), model.tensors, tensor, tensor.plot(), model.stats(), *more]
    return "".join(f"<div>{value._repr_html_()}</div>" for value in shown)  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [400, 800, 1600])
def test_it_takes_the_width_that_there_is(width: int, browser: Browser) -> None:
    model = ws.open(FIXTURES / "deepseek-v3")
    result = model.forward([1, 2, 3])
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.set_content(page_of(model, result, result.plot(), model.stats().plot("q_a_proj", "up_proj")))
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    sizes = tab.evaluate(
        "[...document.querySelectorAll('.ws-figure text')]"
        ".map(text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"
    )
    assert sizes
    assert min(sizes) > 9
    assert max(sizes) < 20
    widest = tab.evaluate("Math.max(...[...document.querySelectorAll('.ws-figure')].map(f => f.clientWidth))")
    assert widest >= min(width - 40, 900)
    tab.close()


def test_words_of_the_legend_do_not_run_into_each_other(browser: Browser) -> None:
    """In a narrow place, where they are largest."""
    tab = browser.new_page(viewport={"width": 400, "height": 900})
    tab.set_content(page_of(ws.open(FIXTURES / "deepseek-v3")))
    boxes = tab.evaluate(
        "[...document.querySelectorAll('.ws-treemap > text')].map(text => text.getBoundingClientRect())"
        ".map(box => [box.left, box.right, box.top])"
    )
    assert len(boxes) == 7
    for left, right, top in boxes:
        assert right < 400
        assert not [other for other in boxes if other[2] == top and left < other[0] < right]
    tab.close()


def test_a_hostile_name_runs_nothing(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({HOSTILE: F32}, bytes(4)))
    tab = browser.new_page()
    ran: list[str] = []
    fetched: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", dismiss)
    tab.on("request", lambda request: fetched.append(request.url))
    tab.set_content(page_of(ws.open(tmp_path)))
    tab.wait_for_timeout(200)
    assert ran == []
    assert [url for url in fetched if not url.startswith("data:image/png;base64,")] == []
    assert tab.locator("h4").all_inner_texts().count(HOSTILE) == 1
    tab.close()


def test_a_saved_figure_is_an_image(tmp_path: Path, browser: Browser) -> None:
    """With the colours of its parts, on a ground of its own."""
    model = ws.open(FIXTURES / "llama")
    model.treemap().save(tmp_path / "map.svg")
    (tmp_path / "page.html").write_text('<img src="map.svg" width="720">')
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.evaluate("document.images[0].complete && document.images[0].naturalWidth > 0")
    assert tab.evaluate("document.images[0].clientHeight") > 300
    tab.goto((tmp_path / "map.svg").as_uri())
    assert tab.evaluate("getComputedStyle(document.querySelector('.ws-mlp')).fill") == "rgb(58, 154, 87)"
    tab.close()
