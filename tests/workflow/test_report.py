"""Both reports, opened in a browser without a network: all figures load, nothing complains."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.helpers.browser import offline_page
from tests.helpers.seen import OPEN_ALL, overlapping, too_wide
from tests.workflow.conftest import snakemake


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with offline_page() as page:
        yield page


def widths(page: Page) -> list[int]:
    return page.eval_on_selector_all("img", "images => images.map(i => i.naturalWidth)")


def test_the_page_shows_every_figure(browser: Page, finished: Path):
    browser.complaints.clear()
    browser.goto((finished / "results/demo/report.html").as_uri())
    browser.evaluate(OPEN_ALL)
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")  # which loads all that is open
    browser.wait_for_function("[...document.querySelectorAll('figure img')].every(image => image.naturalWidth)")
    shown = browser.eval_on_selector_all("figure img", "images => images.map(i => i.naturalWidth)")
    results = finished / "results/demo"
    figures = [*results.glob("*/figures/*.png"), *results.glob("audit/*/*.png")]
    assert len(shown) >= len(figures) > 5
    assert min(shown) > 200
    assert browser.complaints == []
    assert "DEMO" in browser.inner_text("body")


@pytest.mark.parametrize("width", [390, 820, 1400])
def test_the_page_fits(browser: Page, finished: Path, width: int):
    browser.set_viewport_size({"width": width, "height": 800})
    browser.goto((finished / "results/demo/report.html").as_uri())
    browser.evaluate(OPEN_ALL)
    assert too_wide(browser) == [] == overlapping(browser)
    browser.set_viewport_size({"width": 1280, "height": 900})


def test_snakemakes_own_report_shows_every_figure(browser: Page, copy: Path):
    snakemake(copy, "--report", "report.html", "all")
    browser.complaints.clear()
    for category in ("Audit", "Comparison", "Study 1: flowers, attention and additional data", "Summary"):
        browser.goto((copy / "report.html").as_uri())
        browser.click(f"text={category}")
        browser.wait_for_selector("a[iconname=eye]")
        for number in range(browser.locator("a[iconname=eye]").count()):
            browser.locator("a[iconname=eye]").nth(number).click()
            browser.wait_for_timeout(200)
            if category not in ("Comparison", "Summary"):  # which show a table and the page
                assert max(widths(browser)) > 400
    assert browser.complaints == []
