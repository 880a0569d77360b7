"""The page holds everything that it shows, and the stages write what the workflow asks for."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from florilegium.figures.registry import Plot, left_out, planned
from florilegium.report.evidence import Evidence
from florilegium.report.page import document, render_page
from florilegium.report.study import Page, read
from florilegium.stages import compare, figures
from florilegium.stages import page as page_stage
from tests.helpers import report
from tests.helpers.browser import offline_page

AUDIT = {
    "a": "flowers102", "b": "flowers17", "radius": 10, "pixel_threshold": 0.01, "dihedral": True,
    "n_a": 8189, "n_b": 1360,
    "n_flat_a": 0, "n_flat_b": 0, "n_candidates": 90, "n_same_picture": 54, "n_pairs": {"train/test": 54},
    "n_exposed": {"train": 20, "val": 16, "test": 18}, "transforms": {}, "classes": [], "n_dropped": 34, "leak": True,
}  # fmt: skip


Results = tuple[Path, dict[str, Any], list[Path]]
"""The folder of results, the page's description, and images.json files."""


class Elements(HTMLParser):
    """Collects (tag, attributes) and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def stage(module: ModuleType, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module.__name__, *map(str, arguments), "--code", "c0de"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """`results/mini` after compare and figures, the page's description, and images.json files."""
    root = tmp_path_factory.mktemp("project")
    here = root / "results" / "mini"
    kept = ("scratch/corrected", "from102_clean/corrected", "from102_leaky/leaky")
    entries = [e for e in report.flowers() if f"{e['experiment']}/{e['arm']}" in kept]
    entries[0]["note"] = "<script>alert('a note')</script>"
    arms = ("from102_clean/corrected", "scratch/corrected")
    claims = [
        report.claim("transfer_helps", *arms, at_least=0.0, says="Transfer <b>helps</b>."),
        report.claim("it_is_fast", *arms, metric="epochs_to_90_percent", at_most=1.0),
        report.claim("it_is_light", *arms, metric="params", at_most=0.5),
        report.claim("it_reaches_90", arms[0]),
        report.claim("nobody_knows", lacks="nothing tests it"),
    ]
    description = report.study(entries, claims=claims)
    report.write_study(here / "flowers", description)
    images = [report.write_images(root, "flowers17", report.CLASSES)]
    pixels = report.write_pixels(root / "flowers17")
    told = root / "flowers.json"
    told.write_text(json.dumps(description))
    spec = ("--runs", here / "flowers", "--images", *images, "--spec", told)
    comparison = here / "flowers" / "comparison.csv"
    done = stage(compare, *spec, "--out", comparison)
    assert done.returncode == 0, done.stderr
    out = here / "flowers" / "figures"
    done = stage(figures, *spec, "--comparison", comparison, "--pixels", pixels, "--out", out)
    assert done.returncode == 0, done.stderr
    audit = here / "audit" / "flowers102__flowers17"
    audit.mkdir(parents=True)
    (audit / "summary.json").write_text(json.dumps(AUDIT))
    for name in ("contact_sheet.png", "distances.png"):
        Image.new("RGB", (8, 8)).save(audit / name)
    source = {
        "title": "Oxford 17",
        "citation": "Nilsback, 2006",
        "terms": "research",
        "homepage": "https://example.org/17",
    }
    page = {
        "preset": "mini",
        "title": "mini",
        "note": "64-pixel images",
        "studies": {"flowers": description},
        "datasets": {"flowers17": source},
        "audits": [["flowers102", "flowers17"]],
    }
    return here, page, images


def plots_by_study(page: Page) -> dict[str, list[Plot]]:
    return {name: [*planned(study), *left_out(study)] for name, study in page.studies.items()}


def html_of(results: Results, **changes: Any) -> str:
    here, page, images = results
    model = read(Page, json.dumps({**page, **changes}))
    evidence = Evidence(model, here, {path.parent.name: path for path in images})
    return render_page(evidence, plots_by_study(model))


def test_nothing_is_loaded_from_elsewhere(results: Results) -> None:
    html = html_of(results)
    elements = Elements(html).found
    pictures = [attributes for tag, attributes in elements if tag == "img"]
    assert len(pictures) == len(list((results[0] / "flowers" / "figures").glob("*.png"))) + 2
    assert all(
        str(p["src"]).startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) and p["alt"] for p in pictures
    )
    assert not {tag for tag, _ in elements} & {"script", "iframe", "object", "embed"}
    assert all(str(a["href"]).startswith("data:") for tag, a in elements if tag == "link")
    assert "url(" not in html and "@import" not in html


def test_texts_are_escaped(results: Results) -> None:
    html = html_of(results)
    assert "&lt;script&gt;" in html and "<script>" not in html


@pytest.mark.parametrize("homepage", ["javascript:alert(1)", " JAVASCRIPT:alert(1)", "data:text/html,x", "ftp://x.org"])
def test_an_address_that_is_none_of_the_web_is_text(results: Results, homepage: str) -> None:
    (source,) = results[1]["datasets"].values()
    hostile = {key: f"<script>{key}</script>" for key in ("title", "citation", "terms")}
    page = Elements(html_of(results, datasets={"flowers17": {**source, **hostile, "homepage": homepage}}))
    links = [str(attributes["href"]) for tag, attributes in page.found if tag == "a"]
    assert links and all(link.startswith("#") for link in links)
    assert homepage in page.text and all(text in page.text for text in hostile.values())
    assert "script" not in {tag for tag, _ in page.found}


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
        first = page.locator("main > section").first
        assert first.get_attribute("id") == "claims"
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
    rows = [line for line in text.splitlines() if line.startswith("| from102_leaky | leaky |")]
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
