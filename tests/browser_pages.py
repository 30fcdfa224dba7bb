"""A real browser that opens pages."""

from __future__ import annotations

import shutil

import pytest

from mamlzoo.explorer import page as explorer_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIETLY = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
           "--disable-component-update", "--no-first-run"]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    if BROWSER is None:
        pytest.skip("there is no chromium here")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=QUIETLY)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def written():
    """The page of some results, made once."""
    pages = {}

    def write(results, **how):
        key = (*map(id, results), *how.items())
        if key not in pages:
            pages[key] = results, explorer_page.page(results, **how)  # kept, so that nothing else has their ids
        return pages[key][1]

    return write


@pytest.fixture
def opened(browser, written, tmp_path):
    """Opens the page of some results; whatever goes wrong in it, or is asked of a network, fails the test."""
    wrong = []
    context = browser.new_context(viewport={"width": 1000, "height": 800})

    def open_page(results, **how):
        path = tmp_path / "page.html"
        path.write_text(written(results, **how), encoding="utf-8")
        tab = context.new_page()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        tab.on(
            "request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
        )
        tab.goto(path.as_uri())
        return tab

    yield open_page
    context.close()
    assert wrong == []
