"""Both reports, opened in a browser without a network: all figures load, nothing complains."""

import re
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


def test_a_run_says_how_long_it_takes_and_then_where_to_look(copy: Path):
    (copy / "results/demo/report.html").unlink()
    said = snakemake(copy, "--cores", "1", "all").stderr
    start = re.search(
        r"^demo: (\d+) of (\d+) jobs are done; 1 to run \(1 plot\); about \d+ \w+, by the rec", said, re.M
    )
    assert start and int(start[2]) == int(start[1]) + 1
    end = said.partition("Where to look:\n")[2].split("\n\n")[0].splitlines()
    assert 4 <= len(end) < 10 and end[0] == "  results/demo/report.html: everything on one page"
    assert "Where to look:" in snakemake(copy, "--cores", "1", "all").stderr, "where nothing is due, too"
    assert "Where to look:" not in snakemake(copy, "--cores", "1", "flowers").stderr
