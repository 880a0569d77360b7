"""The page holds everything that it shows, and the stages write what the workflow asks for."""

import json
from pathlib import Path

import pytest

from florilegium.report.evidence import Evidence
from florilegium.report.page import SCRIPT, document, render_page
from florilegium.report.study import Page, read
from florilegium.stages import compare
from florilegium.stages import page as page_stage
from tests.helpers import report
from tests.helpers.browser import offline_page
from tests.helpers.page import Elements, Results, html_of, plots_by_study, stage


def test_nothing_is_loaded_from_elsewhere(results: Results) -> None:
    html = html_of(results)
    elements = Elements(html).found
    pictures = [attributes for tag, attributes in elements if tag == "img"]
    shown = [picture for picture in pictures if "data-src" in picture]
    assert len(shown) == len(list((results[0] / "flowers" / "figures").glob("*.png"))) + 2 == len(pictures) - 1
    assert all(str(picture["data-src"]).startswith("data:image/webp;base64,") and picture["alt"] for picture in shown)
    assert not {tag for tag, _ in elements} & {"iframe", "object", "embed"}
    assert all("src" not in attributes for tag, attributes in elements if tag == "script")
    assert all(str(a["href"]).startswith("data:") for tag, a in elements if tag == "link")
    assert "url(" not in html and "@import" not in html


def test_texts_are_escaped(results: Results) -> None:
    html = html_of(results)
    assert "&lt;script&gt;" in html and html.split("<script>")[1:] == [html.partition("<script>")[2]]
    assert html.partition("<script>")[2].startswith(SCRIPT.read_text("utf-8"))


@pytest.mark.parametrize("homepage", ["javascript:alert(1)", " JAVASCRIPT:alert(1)", "data:text/html,x", "ftp://x.org"])
def test_an_address_that_is_none_of_the_web_is_text(results: Results, homepage: str) -> None:
    (source,) = results[1]["datasets"].values()
    hostile = {key: f"<script>{key}</script>" for key in ("title", "citation", "terms")}
    page = Elements(html_of(results, datasets={"flowers17": {**source, **hostile, "homepage": homepage}}))
    links = [str(attributes["href"]) for tag, attributes in page.found if tag == "a"]
    assert links and all(link.startswith("#") for link in links)
    assert homepage in page.text and all(text in page.text for text in hostile.values())
    assert [tag for tag, _ in page.found].count("script") == 1


def test_words_about_the_hardware_are_text(results: Results) -> None:
    here, page, images = results
    model = read(Page, json.dumps(page))
    evidence = Evidence(model, here, {path.parent.name: path for path in images}, "two <b>cores", "2026-01-02")
    assert document(evidence, plots_by_study(model), "p").startswith("# Results: mini, two &lt;b>cores\n")


def test_no_title_turns_the_page(results: Results) -> None:
    html = html_of(results, note="small \u202epictures")
    assert "small \\u202epictures" in html and "\u202e" not in html


def test_an_address_of_the_web_is_a_link(results: Results) -> None:
    found = Elements(html_of(results)).found
    assert ("a", {"href": "https://example.org/17"}) in found


def test_page_says_what_was_found(results: Results) -> None:
    text = Elements(html_of(results)).text
    assert "Transfer <b>helps</b>." in text and "2 of 4claims supported" in text
    assert "Nilsback, 2006" in text and "official split 1" in text
    assert "0123456789ab" in text and "2.15.0" in text


def test_the_page_opens_with_the_claims_at_every_width(results: Results, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(html_of(results), "utf-8")
    with offline_page() as page:
        page.goto((tmp_path / "page.html").as_uri())
        for width in (390, 820, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        overview, first = page.locator("main > section").all()
        assert [one.get_attribute("id") for one in (overview, first)] == ["overview", "claims"]
        found = overview.locator(".finding").first.inner_text()
        assert found.split("\n")[:2] == ["Supported", "Transfer <b>helps</b>."]
        verdicts = first.locator(".claim").all_inner_texts()
        assert verdicts == ["supported", "supported", "refuted", "refuted"]
        drawings = first.get_by_role("img").all()
        assert len(drawings) == 4 and all("ours: " in str(one.get_attribute("aria-label")) for one in drawings)
        assert not first.get_by_text("nothing tests it").is_visible()
        first.get_by_text("1 more is not tested in this preset").click()
        assert first.get_by_text("nothing tests it").is_visible()
        first.get_by_role("link").first.click()
        assert page.locator(":target img").is_visible() and not page.complaints


def test_every_link_inside_the_page_has_its_end(results: Results) -> None:
    elements = Elements(html_of(results)).found
    ends = {attributes.get("id") for _, attributes in elements}
    links = [str(a["href"]) for tag, a in elements if tag == "a" and str(a["href"]).startswith("#")]
    assert links and all(link[1:] in ends for link in links)


def test_a_demo_says_so_at_the_top(results: Results) -> None:
    (study,) = results[1]["studies"].values()
    drawn = html_of(results, studies={"flowers": {**study, "rendered": True}}, preset="demo")
    assert "badge demo" in drawn.split("<nav")[0]
    assert "badge demo" not in html_of(results).split("<nav")[0]


def test_page_and_document_say_which_figures_were_left_out_and_why(results: Results) -> None:
    here, page, images = results
    (study,) = page["studies"].values()
    lone = report.chosen("batches", "bars", study["entries"][:1], title="Batches of 32 and of 64")
    changed = {**page, "studies": {"flowers": {**study, "figures": [lone]}}}
    line = "Batches of 32 and of 64: one arm"
    assert line in Elements(html_of(results, studies=changed["studies"])).text
    paths = {path.parent.name: path for path in images}
    model = read(Page, json.dumps(changed))
    evidence = Evidence(model, here, paths, "h", "2026-01-02")
    assert f"- {line}" in document(evidence, plots_by_study(model), "p")
    assert "Not drawn" not in html_of(results)


def test_page_and_document_say_the_same_of_a_study(results: Results) -> None:
    """Headlines, and the cells of the comparison: the page reads tables that the document computes."""
    here, page, images = results
    model = read(Page, json.dumps(page))
    evidence, plots = Evidence(model, here, {path.parent.name: path for path in images}), plots_by_study(model)
    html, text = Elements(render_page(evidence, plots)).text, document(evidence, plots, "p")
    headlines = [line for line in text.splitlines() if line.startswith("- **")]
    assert len(headlines) >= 2
    for line in headlines:
        number, qualified = line.removeprefix("- **").split("** ")
        assert all(part in html for part in (number, *qualified.split(". ", 1))), line
    claims = [line for line in text.splitlines() if line.startswith(("| Transfer", "| It is ", "| It reaches"))]
    assert len(claims) == 4
    for line in claims:
        said, _, *cells = line.strip("| ").split(" | ")
        assert said.replace("&lt;", "<") in html and all(cell.strip() in html for cell in cells[:3]), line
    rows = [line for line in text.splitlines() if line.startswith("| ResNet-18 from leaky Oxford 102 |")]
    assert rows and all(cell.strip() in html for row in rows for cell in row.strip("| ").split(" | "))


def test_stages_leave_tables_figures_and_receipts(results: Results) -> None:
    here, page, images = results
    told = here / "page.json"
    told.write_text(json.dumps(page))
    done = stage(page_stage, "--results", here, "--images", *images, "--out", here / "report.html", "--spec", told)
    assert done.returncode == 0, done.stderr
    folder = here / "flowers"
    for name in ("comparison.csv", "comparison.md", "differences.csv", "comparison.receipt.json", "figures/leak.png"):
        assert (folder / name).is_file(), name
    receipt = json.loads((here / "report.receipt.json").read_text())
    assert receipt["stage"] == "page" and receipt["code"] == "c0de"


def test_a_wrong_spec_is_one_sentence(tmp_path: Path) -> None:
    told = tmp_path / "flowers.json"
    told.write_text('{"study": "flowers"}')
    done = stage(compare, "--runs", tmp_path, "--out", tmp_path / "comparison.csv", "--spec", told)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --spec: title:") and done.stderr.count("\n") == 1
