"""A page of one small study, for the tests of the report."""

import json
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from florilegium.figures.registry import Plot, left_out, planned
from florilegium.report.evidence import Evidence
from florilegium.report.page import render_page
from florilegium.report.study import Page, read
from florilegium.stages import compare, figures
from tests.helpers import report

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


def plots_by_study(page: Page) -> dict[str, list[Plot]]:
    return {name: [*planned(study), *left_out(study)] for name, study in page.studies.items()}


def html_of(results: Results, **changes: Any) -> str:
    """The page as HTML, with other values in its description."""
    return _html(results[0], json.dumps({**results[1], **changes}), tuple(results[2]))


@cache
def _html(here: Path, page: str, images: tuple[Path, ...]) -> str:
    model = read(Page, page)
    evidence = Evidence(model, here, {path.parent.name: path for path in images})
    return render_page(evidence, plots_by_study(model))


def made_page(root: Path) -> Results:
    """`results/mini` after compare and figures, the page's description, and images.json files."""
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
