"""The page in a browser without a network: at three widths, in light, in dark and on paper, by hand and by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.helpers.browser import offline_page
from tests.helpers.page import Results, html_of
from tests.helpers.seen import OPEN_ALL, faint, overlapping, too_wide, unreached

WIDTHS = (390, 820, 1400)


@pytest.fixture(scope="module")
def address(results: Results, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("seen") / "page.html"
    path.write_text(html_of(results), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with offline_page() as page:
        yield page


@pytest.fixture
def page(browser: Page, address: str) -> Page:
    """The page as it is opened, 1,400 pixels wide and light."""
    browser.set_viewport_size({"width": 1400, "height": 900})
    browser.emulate_media(color_scheme="light", media="screen")
    browser.complaints.clear()
    browser.goto("about:blank")
    browser.goto(address)
    return browser


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_is_cut_covered_or_faint(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for is_open in (False, True):
        if is_open:
            page.evaluate(OPEN_ALL)
        assert too_wide(page) == [] and overlapping(page) == []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert faint(page) == [], scheme
    assert page.complaints == []


def test_studies_are_closed_until_a_link_opens_them(page: Page) -> None:
    assert page.locator("main > details[open]").count() == 0
    page.get_by_role("link", name="Study 1").click()
    assert page.locator("main > details[open]").count() == 1
    assert page.get_by_role("heading", name="Ours and published").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_contents_stay_in_sight(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(OPEN_ALL)
    page.locator("#provenance").scroll_into_view_if_needed()
    assert page.get_by_role("link", name="Overview").bounding_box()["y"] >= 0


def test_figures_are_loaded_when_they_come_into_sight(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 400})
    loaded = "document.querySelectorAll('figure img[src]').length"
    assert page.evaluate(loaded) == 0
    page.get_by_role("link", name="Study 1").click()
    page.locator("figure").first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('figure img').naturalWidth > 300")
    assert 0 < page.evaluate(loaded) < page.locator("figure").count()


def test_a_figure_opens_large_and_closes_by_keyboard(page: Page) -> None:
    page.get_by_role("link", name="Study 1").click()
    figure = page.locator("button.figure").first
    figure.focus()
    page.keyboard.press("Enter")
    large = page.get_by_role("dialog").get_by_role("img")
    assert large.is_visible() and large.bounding_box()["width"] >= figure.bounding_box()["width"]
    assert large.get_attribute("alt") == figure.locator("img").get_attribute("alt")
    page.keyboard.press("Escape")
    assert not large.is_visible() and figure.evaluate("figure => figure === document.activeElement")


def test_a_table_is_sorted_by_its_heads(page: Page) -> None:
    page.get_by_role("link", name="Study 1").click()
    table = page.get_by_role("region", name="Ours and published").get_by_role("table")
    head = table.get_by_role("columnheader", name="Ours")
    column = table.locator("thead th").all_inner_texts().index("Ours") + 1
    for direction, is_falling in (("ascending", False), ("descending", True)):
        head.get_by_role("button").click()
        cells = table.locator(f"tbody tr > :nth-child({column})").all_inner_texts()
        values = [float(cell.split(" ")[0]) for cell in cells]
        assert values == sorted(values, reverse=is_falling) and len(set(values)) > 1
        assert head.get_attribute("aria-sort") == direction


def test_rows_are_filtered_by_words(page: Page) -> None:
    claims = page.locator("#claims")
    rows = claims.locator("tbody tr:visible")
    n = rows.count()
    claims.get_by_role("searchbox").fill("refuted")
    assert 0 < rows.count() < n and claims.get_by_role("status").inner_text() == f"{rows.count()} of {n} rows"
    assert all("refuted" in text for text in rows.all_inner_texts())
    claims.get_by_role("searchbox").fill("")
    assert rows.count() == n


def test_notes_stand_in_their_rows(page: Page) -> None:
    page.get_by_role("link", name="Study 1").click()
    rows = page.get_by_role("region", name="Ours and published").get_by_role("row")
    row = rows.filter(has=page.get_by_role("rowheader", name="ResNet-18 from scratch"))
    assert not row.get_by_text("a note").is_visible()
    row.locator("td.notes summary").click()
    assert row.get_by_text("a note").is_visible()


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    assert unreached(page) == []
    page.evaluate(OPEN_ALL)
    assert unreached(page) == []


def test_on_paper_the_closed_stays_closed_and_open_figures_are_there(page: Page, tmp_path: Path) -> None:
    page.get_by_role("link", name="Study 1").click()
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert page.locator("#flowers img:not([src])").count() == 0 < page.locator("#audit img:not([src])").count()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator("#audit table").is_visible()
    assert page.locator("#flowers figure").first.is_visible()
    assert faint(page) == []
