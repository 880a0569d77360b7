"""The committed simulation of the tests holds what the documents say of it."""

import json
import math
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
FOUND = FOLDER / "results" / "calibration-epyc-2-cores.json"
LIMITS = {"p<0.05": 0.06, "p<0.01": 0.015, "p<0.001": 0.003}


@pytest.fixture(scope="module")
def result() -> dict:
    return json.loads(FOUND.read_text(encoding="utf-8"))


def test_no_cell_of_the_grid_errs_more_often_than_it_may(result: dict) -> None:
    for row in result["null"]:
        for level, most in LIMITS.items():
            assert row["ours"][level] <= most, row
        assert row["ours"]["covered"] >= 0.94, row


@pytest.mark.parametrize("part", ["studies", "precision"])
def test_no_study_and_no_detector_does_but_for_the_error_of_its_draws(result: dict, part: str) -> None:
    for row in result[part]:
        for level, most in LIMITS.items() if not row["effect"] else ():
            assert row["ours"][level] <= most + 2 * math.sqrt(most / row["draws"]), row
        assert row["ours"]["covered"] >= 0.94 - 2 * math.sqrt(0.06 / row["draws"]), row


def test_the_grid_is_whole(result: dict) -> None:
    null = {(row["seeds"], row["images"], row["scatter"], row["difficulty"]) for row in result["null"]}
    assert len(null) == 4 * 4 * 3 * 2
    effects = {row["effect"] for row in result["power"]}
    assert effects == {0.01, 0.02, 0.05, 0.1}
    assert all({"ours", "paired_t", "mcnemar"} <= row.keys() for row in result["power"])


def test_the_tables_are_those_of_the_figures(result: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    tables = __import__("calibration_table").tables
    sys.modules.pop("calibration_table")
    assert FOUND.with_suffix(".md").read_text(encoding="utf-8") == tables(result) + "\n"
