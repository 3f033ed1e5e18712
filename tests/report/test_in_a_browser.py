"""The page as a person sees it, in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.ghost import write_ghost
from tests.report.pages import ROOT, run_report, told, write_hostile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext
    from playwright.sync_api import Page as Tab

pytest.importorskip("playwright", reason="needs playwright")
READY = "html[data-ready]"
Opened = Callable[..., "Tab"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a model, written once."""
    pages: dict[str, Path] = {}

    def write(model: str) -> Path:
        if model not in pages:
            pages[model] = tmp_path_factory.mktemp("page") / "page.html"
            result = run_report(model, "-o", str(pages[model]))
            assert result.returncode == 0, result.stderr
        return pages[model]

    return write


@pytest.fixture
def opened(browser: Browser, written: Callable[[str], Path]) -> Iterator[Opened]:
    """A model's page, opened and ready; requests and messages are kept on the page's context."""
    contexts: list[BrowserContext] = []

    def open_page(model: str, **settings: Any) -> Tab:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.goto(written(model).as_uri())
        page.wait_for_selector(READY)
        return page

    yield open_page
    for context in contexts:
        context.close()


def labels(page: Tab) -> list[str]:
    return [said.split(",")[0] for said in page.locator("#map > button > .spoken").all_inner_texts()]


def test_the_treemap_zooms_in_and_out(opened: Opened) -> None:
    page = opened("fixtures/llama")
    assert set(labels(page)) == {"mlp", "embedding", "head", "attention", "norm"}
    page.locator("#map > button", has_text="attention").click()
    assert set(labels(page)) == {"q_proj", "k_proj", "v_proj", "o_proj"}
    page.locator("#map > button", has_text="k_proj").click()
    assert set(labels(page)) == {"layer 0", "layer 1", "layer 2"}
    page.locator("#map > button", has_text="layer 1").click()
    details = page.locator("#details").inner_text()
    assert "model.layers.1.self_attn.k_proj.weight" in details
    assert "[8, 24] = [num_key_value_heads·head_dim, hidden_size]" in details
    page.locator("#trail button", has_text="all").click()
    assert "mlp" in labels(page)


def test_the_treemap_works_by_keyboard(opened: Opened) -> None:
    page = opened("fixtures/llama")
    page.locator("#map > button").first.focus()
    page.keyboard.press("Enter")
    assert set(labels(page)) == {"gate_proj", "up_proj", "down_proj"}
    first = page.evaluate("document.activeElement.querySelector('.spoken').textContent")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.querySelector('.spoken').textContent") != first
    page.keyboard.press("Escape")
    assert "mlp" in labels(page)
    assert page.evaluate("document.activeElement.querySelector('.spoken').textContent").startswith("mlp")
    assert page.locator("#map > button[tabindex='0']").count() == 1


def test_search_finds_roles_templates_and_single_tensors(opened: Opened) -> None:
    page = opened("fixtures/deepseek-v3")
    page.fill("#search", "experts.3.up")
    page.locator("#results button").first.wait_for()
    found = page.locator("#results button").all_inner_texts()
    assert found == [
        "model.layers.1.mlp.experts.3.up_proj.weight",
        "model.layers.2.mlp.experts.3.up_proj.weight",
        "model.layers.1.mlp.experts.3.up_proj.weight_scale_inv",
        "model.layers.2.mlp.experts.3.up_proj.weight_scale_inv",
        "model.layers.3.mlp.experts.3.up_proj.weight",
        "model.layers.3.mlp.experts.3.up_proj.weight_scale_inv",
    ]
    assert page.locator("#search-status").inner_text() == "6 results"
    page.locator("#results button").nth(1).click()
    assert "model.layers.2.mlp.experts.3.up_proj.weight" in page.locator("#details").inner_text()
    page.fill("#search", "kv_b_proj")
    page.locator("#results button", has_text="attention › kv_b_proj").wait_for()
    page.fill("#search", "no such tensor")
    page.get_by_text("0 results", exact=True).wait_for()


def test_search_finds_a_gguf_tensor_by_either_name(opened: Opened) -> None:
    page = opened("fixtures/gguf/llama.gguf")
    page.fill("#search", "layers.1.self_attn.q_proj")
    page.locator("#results button").first.wait_for()
    both = "blk.1.attn_q.weight (model.layers.1.self_attn.q_proj.weight)"
    assert page.locator("#results button").all_inner_texts() == [both]
    page.fill("#search", "blk.1.attn_q.")
    page.locator("#results button", has_text="blk.1.attn_q.weight").wait_for()
    page.locator("#results button").first.click()
    details = page.locator("#details").inner_text()
    assert "model.layers.1.self_attn.q_proj.weight" in details
    page.fill("#search", "self_attn.q_proj")
    page.locator("#results button", has_text="(model.layers.{0–1}.self_attn.q_proj.weight)").wait_for()


def test_the_whole_leaves_out_what_predicts_ahead(opened: Opened) -> None:
    page = opened("fixtures/deepseek-v3")
    counted = told("inspect", "fixtures/deepseek-v3")["parameters"]
    details = page.locator("#details").inner_text()
    assert f"({counted['total']:,})" in details
    assert f"({counted['auxiliary']:,}) of mtp" in details


def test_colours_and_sizes_can_be_chosen(opened: Opened) -> None:
    page = opened("fixtures/deepseek-v3")
    page.select_option("#colour", "dtype")
    assert {"BF16", "F8_E4M3", "F32"} <= set(page.locator("#legend li").all_inner_texts())
    page.select_option("#measure", "bytes")
    assert "buffers" in labels(page)
    page.select_option("#colour", "finding")
    assert "nothing found" in page.locator("#legend").inner_text()


def test_hostile_names_run_nothing(opened: Opened, tmp_path: Path) -> None:
    page = opened(str(write_hostile(tmp_path / "model")))
    for _ in range(2):
        page.locator("#map > button").first.click()
    page.fill("#search", "script")
    page.locator("#results button").first.click()
    assert page.evaluate("window.hit") is None
    assert page.locator("#details").inner_text().count("<script>")
    assert page.locator("main img").count() == page.locator("main script").count() == 0


def test_the_policy_blocks_scripts_and_requests(opened: Opened) -> None:
    page = opened("fixtures/llama")
    blocked = """async () => {
        const said = [];
        document.addEventListener("securitypolicyviolation", (event) => said.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.hit = 1";
        document.body.append(script);
        const image = document.createElement("img");
        image.src = "http://127.0.0.1:9/x.png";
        document.body.append(image);
        const box = document.createElement("div");
        box.setAttribute("style", "color: red");
        document.body.append(box);
        try { await fetch("http://127.0.0.1:9/"); } catch { said.push("fetch failed"); }
        await new Promise((done) => setTimeout(done, 50));
        return [said, window.hit || null];
    }"""
    said, hit = page.evaluate(blocked)
    assert hit is None
    assert {"script-src-elem", "img-src", "style-src-attr", "connect-src"} <= set(said)


def test_the_page_itself_breaks_no_rule_of_its_policy(browser: Browser, written: Callable[[str], Path]) -> None:
    page = browser.new_page()
    said: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    file = written("fixtures/llava")
    page.goto(file.as_uri())
    page.wait_for_selector(READY)
    assert said == []
    assert requested == [file.as_uri()]
    page.close()


@pytest.mark.parametrize("model", ["fixtures/llama", "fixtures/deepseek-v3", "fixtures/llava"])
def test_a_phone_needs_no_sideways_scrolling(opened: Opened, model: str) -> None:
    page = opened(model, viewport={"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    for details in page.locator("details").all():
        details.evaluate("each => each.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_dark_and_print_have_their_own_colours(opened: Opened) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = opened("fixtures/llama", color_scheme="light"), opened("fixtures/llama", color_scheme="dark")
    assert light.evaluate(background) == "rgb(255, 255, 255)"
    assert dark.evaluate(background) == "rgb(20, 22, 27)"
    dark.emulate_media(media="print")
    assert dark.evaluate(background) == "rgb(255, 255, 255)"
    assert not dark.locator("#search").is_visible()
    # What was closed on the screen can be read on paper.
    tensors = dark.locator("details table").first
    assert tensors.is_visible()
    assert dark.evaluate("document.querySelector('details table').getBoundingClientRect().height") > 40
    dark.set_viewport_size({"width": 794, "height": 1100})
    assert dark.evaluate("document.documentElement.scrollWidth") == 794


def test_the_page_reads_without_scripts(browser: Browser, written: Callable[[str], Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written("fixtures/llama").as_uri())
    text = page.locator("main").inner_text()
    assert "28,296" in text
    assert "down_proj·(silu(gate_proj·x) ⊙ up_proj·x)" in text
    assert not page.locator("#explorer").is_visible()
    context.close()


def test_ninety_thousand_tensors_are_quick_and_small(
    opened: Opened, written: Callable[[str], Path], tmp_path: Path
) -> None:
    write_ghost(ROOT / "benchmarks" / "deepseek_v3.json", tmp_path / "ghost")
    file = written(str(tmp_path / "ghost"))
    assert file.stat().st_size < 3_000_000
    page = opened(str(tmp_path / "ghost"))
    # Of the page's own clock: from the start of loading to the end of the last script.
    assert page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 1000
    page.locator("#map > button", has_text="moe").click()
    page.locator("#map > button", has_text="up_proj").first.click()
    took = page.evaluate("""() => {
        const start = performance.now();
        [...document.querySelectorAll("#map > button")].find((tile) => tile.textContent.includes("layer 60")).click();
        document.getElementById("map").getBoundingClientRect();
        return performance.now() - start;
    }""")
    assert page.locator("#map > button").count() == 257
    assert took < 1000
    page.fill("#search", "layers.17.mlp.experts.200.")
    page.locator("#results button").first.wait_for(timeout=2000)
    assert page.locator("#search-status").inner_text() == "6 results"


@pytest.mark.parametrize("model", ["fixtures/deepseek-v3", "fixtures/gpt2", "fixtures/llava"])
def test_the_tree_adds_up_to_what_inspect_says(opened: Opened, model: str) -> None:
    page = opened(model)
    drawn = page.evaluate("""() => {
        const leaves = (node) => node.children().length ? node.children().flatMap(leaves) : [node];
        const sum = (nodes) => nodes.reduce((total, node) => total + node.parameters, 0);
        const told = (node) => [node.label, node.parameters, sum(leaves(node)), node.tensors];
        return weightscope.root.children().map(told);
    }""")
    assert {name: (whole, parts, count) for name, whole, parts, count in drawn if name != "buffers"} == {
        each["component"]: (each["parameters"], each["parameters"], each["tensors"])
        for each in told("inspect", model)["components"]
    }
