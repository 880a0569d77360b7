"""A project with a finished preset of two studies, and the reference that is kept of it."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from florilegium.__main__ import command_line
from florilegium.commands.recompute import CLOSING, OPENING, README, ROWS
from florilegium.core.receipts import write_receipt
from florilegium.report.evidence import live
from florilegium.report.reference import write_reference
from tests.helpers import detection, report
from tests.helpers.page import AUDIT

ROOT = Path(__file__).parents[2]
HARDWARE = "2 cores of an AMD EPYC"
RESULTS = Path("results/mini")
KEPT = Path("results/reference/mini-laptop")
LEAK = "from102_leaky/leaky", "from102_clean/corrected"
ADDRESS = "https://example.org/a/b"
TRAIN: dict[str, Any] = {
    "stage": "train",
    "spec": {"lr": 0.1},
    "inputs": [],
    "started": 0.0,
    "model": {"name": "resnet18"},
}


def flowers() -> dict[str, Any]:
    arms = ("scratch/corrected", "from102_clean/corrected", "from102_leaky/leaky")
    claims = [report.claim("leaks_flatter", *LEAK, at_least=0.0), report.claim("lost", lacks="nothing tests it")]
    return report.study([e for e in report.flowers() if f"{e['experiment']}/{e['arm']}" in arms], claims=claims)


def finders() -> dict[str, Any]:
    entries = [
        detection.entry("r18"),
        detection.entry("r34", baseline={"experiment": "r18", "arm": "corrected"}, dataset="scenes"),
    ]
    return report.study(entries, study="detection", title="Study 5: boxes")


def write_receipts(study: Path) -> None:
    """A receipt of each run like those that a training writes, the first with a fact that tells of this machine."""
    for number, metrics in enumerate(sorted(study.rglob("metrics.json"))):
        files = [path for path in metrics.parent.iterdir() if path.name != "receipt.json"]
        said = f"slow: read from /home/somebody/archives/x.tar, see {ADDRESS}" if number == 0 else ""
        where = metrics.with_name("receipt.json")
        write_receipt(where, code="c0de", outputs=files, said=said, device="cpu", **TRAIN)


def make_project(root: Path) -> None:
    """A finished preset of a study of classifiers and one of detectors, and its reference."""
    with contextlib.chdir(root):
        scenes = detection.write_scenes(Path("resources/scenes"))
        report.write_study(RESULTS / "flowers", flowers())
        for of in finders()["entries"]:
            for seed in of["seeds"]:
                detection.write_run(RESULTS / "detection", of, seed, scenes)
        for name in ("flowers", "detection"):
            write_receipts(RESULTS / name)
        for dataset, classes in (("flowers17", report.CLASSES), ("scenes", detection.CLASSES)):
            report.write_images(Path("resources"), dataset, classes)
        summary = RESULTS / "audit/flowers102__flowers17/summary.json"
        summary.parent.mkdir(parents=True)
        summary.write_text(json.dumps(AUDIT))
        source = {"title": "Oxford 17", "citation": "Nilsback", "terms": "research", "homepage": ADDRESS}
        page = {
            "preset": "mini", "title": "mini", "note": "64-pixel images", 
            "studies": {"flowers": flowers(), "detection": finders()},
            "datasets": {"flowers17": source, "scenes": source}, "audits": [["flowers102", "flowers17"]],
        }  # fmt: skip
        (RESULTS / "report.html").write_text("<p>")
        write_receipt(
            RESULTS / "report.receipt.json", stage="page", spec=page, code="c0de", inputs=[],
            outputs=[RESULTS / "report.html"], started=0.0,
        )  # fmt: skip
        write_reference(live(RESULTS, HARDWARE), KEPT, "c0de")


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["florilegium", *map(str, arguments)])
    return command_line()


def csv_of(table: pd.DataFrame) -> str:
    return table.to_csv(index=False)


def write_readme(here: Path, reference: str = KEPT.name) -> None:
    """A README with an empty block, and the data file of its references."""
    blocks = [{"reference": reference, "heading": "Flowers."}]
    (here / ROWS).parent.mkdir(parents=True, exist_ok=True)
    (here / ROWS).write_text(yaml.safe_dump({"blocks": blocks}))
    (here / README).write_text(f"# Mine\n\n{OPENING}\nold\n{CLOSING}\n\nThe rest.\n")
