"""What a run reaches on validation, and by how much it overfits."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from florilegium.config.metrics import WORDS, metrics_of
from florilegium.report.runs import Run, over_seeds, read_runs, value
from florilegium.report.study import Study, read
from tests.helpers import report


def run(folder: Path, validation: list[float | None], task: str = "classification", main: str = "top1") -> Run:
    """A run of these validations, whose files hold 0.98 in training and 0.9 in tests."""
    history = pd.DataFrame({"epoch": range(1, len(validation) + 1), f"val_{main}": validation})
    metrics = {"diverged": False, "train_top1": 0.98, "top1": 0.9, "n_test": 100}
    return Run(task=task, seed=0, folder=folder, metrics=metrics, history=history)


def read_arm(root: Path, of: dict[str, Any]) -> list[Run]:
    return read_runs(root, read(Study, json.dumps(report.study([of]))).entries[0])


@pytest.mark.parametrize(
    ("validation", "first", "best"),
    [([0.5, 0.99, 0.97, 1.0], 2, 1.0), ([0.995], 1, 0.995), ([0.5, 0.9899], None, 0.9899), ([None, None], None, None)],
)
def test_the_first_epoch_at_99_percent_and_the_best_of_all(tmp_path, validation, first, best):
    found = [value(run(tmp_path, validation), name) for name in ("first_epoch_at_99_percent", "best_validation")]
    for here, expected in zip(found, (first, best), strict=True):
        assert math.isnan(here) if expected is None else here == pytest.approx(expected)


def test_validation_means_average_precision_for_a_detector_and_nothing_for_a_generator(tmp_path):
    detector = run(tmp_path, [0.1, 0.3, 0.2], "detection", "AP")
    assert value(detector, "best_validation") == pytest.approx(0.3)
    generator = run(tmp_path, [0.03, 0.02], "generation", "loss")
    for name in ("best_validation", "first_epoch_at_99_percent", "epochs_to_90_percent"):
        assert math.isnan(value(generator, name))


def test_overfitting_is_training_less_test_accuracy_and_may_be_below_zero(tmp_path):
    of = report.entry("net", seeds=[0, 1, 2])
    gaps = (0.03, -0.01, -0.05)
    for seed, gap in enumerate(gaps):
        report.write_run(tmp_path, of, seed, accuracy=0.5, n_test=1000, sizes={"train_top1": 0.5 + gap})
    mean, low, high = over_seeds("generalisation_gap", read_arm(tmp_path, of))
    expected = stats.t.interval(0.95, 2, -0.01, stats.sem(gaps))
    assert (mean, low, high) == pytest.approx((-0.01, *expected)) and low < 0


@pytest.mark.parametrize("task", ["classification", "detection", "generation"])
def test_every_metric_of_a_task_has_its_words(task):
    assert set(metrics_of(task)) <= set(WORDS)
