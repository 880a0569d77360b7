"""The table of generated images: its rows stand in the order of the study."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from florilegium.core.files import write_json
from florilegium.core.fingerprint import canonical
from florilegium.plan.project import load_plan
from florilegium.report.generated import generated, readable_generated
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from tests.helpers import report

PROJECT = Path(__file__).parents[2]
SETS = {"slow": {"sampler": "ddpm"}, "fast": {"sampler": "ddim", "steps": 5}, "added": {"sampler": "ddpm"}}


def write_sets(root: Path, of: dict[str, Any]) -> None:
    for seed in of["seeds"]:
        folder = report.write_run(root, of, seed, accuracy=0.5)
        for name in SETS:
            (folder / "samples" / name).mkdir(parents=True)
            np.save(folder / "samples" / name / "samples.npy", np.zeros(1))
            write_json(folder / "samples" / name / "cost.json", {"steps": 10, "images_per_second": 3.0})


def test_sets_stand_in_the_order_of_the_study_though_its_description_has_sorted_keys(tmp_path: Path) -> None:
    of = report.entry("diffusion", samples={"sets": SETS}, sets=list(SETS))
    write_sets(tmp_path, of)
    study = read(Study, json.dumps(json.loads(canonical(report.study([of])))))
    table = generated(study, read_study(tmp_path, study))
    assert table["samples"].tolist() == list(SETS)
    assert [row[1] for row in readable_generated(study, table)[1]] == list(SETS)


def test_a_description_names_the_sets_of_each_generator() -> None:
    plan = load_plan(PROJECT, {"preset": "demo"})
    told = {(of["experiment"], of["arm"]): of["sets"] for of in plan.description("generation")["entries"]}
    expected = {(e.name, e.arm): list(e.samples.sets) if e.samples else [] for e in plan.of("generation")}
    assert told == expected and any(expected.values())
