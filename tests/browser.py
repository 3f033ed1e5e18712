"""A browser for the tests that look at a page as a person does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from website import pages


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium without a window; the test is skipped where there is none.

    Of a module, because playwright keeps an event loop running: other tests want one of their own.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = pages.browser()
    if path is None:
        pytest.skip(f"needs one of {', '.join(pages.BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
