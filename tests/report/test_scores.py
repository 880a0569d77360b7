"""What each arm cost: measured, in one table, with what was published beside it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from florilegium.report.arms import Arms
from florilegium.report.runs import read_study
from florilegium.report.scores import costs, costs_markdown, readable_costs, scores
from florilegium.report.study import Study, read
from tests.helpers import report

CONTRACT = (
    "experiment, arm, params, params_trainable, macs, checkpoint_bytes, peak_memory_bytes, seconds_per_epoch, minutes, "
    "evaluation_share, train_images_per_second, precision, device, threads, n_seeds"
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, pd.DataFrame]:
    root = tmp_path_factory.mktemp("runs")
    published = [report.figure("minutes", 171.1, 171.1), report.figure("top1", 0.69, 0.70)]
    entries = [report.entry("b16", published=published, title="ViT-B/16"), report.entry("b32"), report.entry("unrun")]
    for seed in (0, 1, 2):
        cost = {"seconds_total": 600 + 60 * seed, "seconds_validation": 100.0, "seconds_evaluation": 20.0}
        report.write_run(root, entries[0], seed, accuracy=0.9, cost=cost, diverged=seed == 2)
        report.write_run(root, entries[1], seed, accuracy=0.9, cost={"device": f"GPU {seed % 2}"})
    study = read(Study, json.dumps(report.study(entries)))
    return study, costs(study, read_study(root, study))


def test_columns_are_the_contracts_and_then_what_was_published(table: tuple[Study, pd.DataFrame]) -> None:
    assert ", ".join(table[1].columns) == f"{CONTRACT}, published_minutes_low, published_minutes_high"


def test_times_are_means_over_the_runs_that_came_to_their_end(table: tuple[Study, pd.DataFrame]) -> None:
    row = table[1].iloc[0]
    assert (row["minutes"], row["n_seeds"]) == (10.5, 2)
    assert row["evaluation_share"] == pytest.approx((120 / 600 + 120 / 660) / 2)
    assert row["published_minutes_low"] == 171.1


def test_a_share_is_unknown_where_validations_were_not_timed(table: tuple[Study, pd.DataFrame]) -> None:
    row = table[1].iloc[1]
    assert pd.isna(row["evaluation_share"]) and pd.isna(row["published_minutes_low"])
    assert row["device"] == "GPU 0, GPU 1"


def test_an_arm_that_was_not_run_has_no_row(table: tuple[Study, pd.DataFrame]) -> None:
    assert list(table[1]["experiment"]) == ["b16", "b32"]


def test_people_read_units_and_the_published_value_in_brackets(table: tuple[Study, pd.DataFrame]) -> None:
    header, rows = readable_costs(*table)
    cells = dict(zip(header, rows[0], strict=True))
    assert cells["Arm"] == "ViT-B/16" and cells["Parameters"] == "11.2\u00a0M"
    assert cells["Minutes"] == "10.5 (171.1)" and cells["Peak memory"] == "870\u00a0MiB"
    assert all(len(row) == len(header) for row in rows)
    assert "| ViT-B/16 | 11.2\u00a0M |" in costs_markdown(*table)


def test_classes_and_calibration_are_counted_from_the_answers(tmp_path: Path) -> None:
    """Two seeds; of four tulips three and one are right, of two daisies none: by hand."""
    entry = report.entry("b16")
    answers = {0: "TTTdtt", 1: "Tdddtt"}
    for seed, given in answers.items():
        report.write_run(tmp_path, entry, seed, accuracy=0.5)
        lines = [
            f"{image}.png,{'tulip' if image < 4 else 'daisy'},{'daisy' if answer == 'd' else 'tulip'},0.8"
            for image, answer in enumerate(given)
        ]
        folder = tmp_path / "b16" / "corrected" / f"seed{seed}"
        (folder / "predictions.csv").write_text("\n".join(["image,target,prediction,probability", *lines]))
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps({**metrics, "temperature": 2.0, "calibrated_ece": None}))
    study = read(Study, json.dumps(report.study([entry])))
    table = scores(study, Arms(read_study(tmp_path, study))).set_index(["kind", "name"])["mean"]
    assert table["accuracy by class", "tulip"] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert table["accuracy by class", "daisy"] == 0
    assert table["calibration", "ece"] == pytest.approx((abs(3 / 6 - 0.8) + abs(1 / 6 - 0.8)) / 2)
    assert table["calibration", "temperature"] == 2.0 and ("calibration", "calibrated_ece") not in table.index
