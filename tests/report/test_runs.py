"""What a run reaches on validation, by how much it overfits, and what two arms have together."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from florilegium.config.metrics import WORDS, metrics_of
from florilegium.report.arms import Arms
from florilegium.report.comparison import compare, difference_row
from florilegium.report.runs import Run, factor, over_seeds, read_runs, read_study, value
from florilegium.report.study import Study, read
from tests.helpers import report


def run(folder: Path, validation: list[float | None], task: str = "classification", main: str = "top1") -> Run:
    """A run of these validations, whose files hold 0.98 in training and 0.9 in tests."""
    history = pd.DataFrame({"epoch": range(1, len(validation) + 1), f"val_{main}": validation})
    metrics = {"diverged": False, "train_top1": 0.98, "top1": 0.9, "n_test": 100}
    return Run(task=task, seed=0, folder=folder, metrics=metrics, history=history)


def arm(root: Path, name: str, costs: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    of = report.entry(name, seeds=list(range(len(costs))), **changes)
    for seed, cost in enumerate(costs):
        report.write_run(root, of, seed, accuracy=0.9, cost=cost)
    return of


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


def measured(*costs: tuple[int, float]) -> list[dict[str, Any]]:
    """Costs of runs on a GPU, each of (bytes, seconds an epoch)."""
    return [
        {"device": "NVIDIA H200", "peak_memory_bytes": size, "seconds_per_epoch": seconds} for size, seconds in costs
    ]


def test_factors_are_means_of_ratios_over_the_seeds_in_common(tmp_path):
    ours = read_arm(tmp_path, arm(tmp_path, "fp32", measured((300, 5.0), (310, 4.0), (900, 9.0))))
    theirs = read_arm(tmp_path, arm(tmp_path, "fp16", measured((100, 10.0), (100, 10.0))))
    found, n = factor("memory_factor", ours, theirs)
    low, high = stats.t.interval(0.95, 1, 3.05, stats.sem([3.0, 3.1]))
    assert n == 2 and found == pytest.approx((3.05, low, high))
    assert factor("speed_factor", ours, theirs)[0][0] == pytest.approx((10 / 5 + 10 / 4) / 2)
    alone, n = factor("memory_factor", ours[:1], theirs)
    assert n == 1 and alone[0] == pytest.approx(3.0) and math.isnan(alone[1])
    assert factor("memory_factor", ours[2:], theirs)[1] == 0


def test_memory_is_no_factor_where_a_process_was_measured(tmp_path):
    ours, theirs = (arm(tmp_path, name, [{"device": "cpu"}] * 2) for name in ("a", "b"))
    (mean, _, _), _ = factor("memory_factor", read_arm(tmp_path, ours), read_arm(tmp_path, theirs))
    assert math.isnan(mean)
    (speed, _, _), _ = factor("speed_factor", read_arm(tmp_path, ours), read_arm(tmp_path, theirs))
    assert speed == pytest.approx(1.0)


def test_claims_over_several_arms_have_a_row_and_a_test_each(tmp_path):
    """As study 1 has it: TinyViT is better than a ResNet, while its baseline is TinyViT from scratch."""
    claim = {"metric": "gain", "low": 0.05, "high": 1.0, "source": "text", "note": ""}
    fast = {"metric": "speed_factor", "low": 1.8, "high": 2.2, "source": "text", "note": ""}
    entries = [
        report.entry("scratch"),
        report.entry("resnet"),
        report.entry(
            "tiny",
            baseline=report.against("scratch"),
            published=[{**claim, "against": report.against("resnet")}, {**fast, "against": report.against("resnet")}],
        ),
    ]
    for of, accuracy in zip(entries, (0.8, 0.6, 0.9), strict=True):
        for seed in of["seeds"]:
            seconds = 5.0 if of["experiment"] == "tiny" else 10.0
            cost = {"device": "NVIDIA H200", "seconds_per_epoch": seconds}
            report.write_run(tmp_path, of, seed, accuracy=accuracy, n_test=1000, cost=cost)
    study = read(Study, json.dumps(report.study(entries)))
    table, differences = compare(study, Arms(read_study(tmp_path, study)), {})
    assert differences["baseline"].tolist() == ["scratch/corrected", "resnet/corrected"]
    of_tiny = table[table["experiment"] == "tiny"].set_index("metric")
    assert of_tiny.loc["top1", "baseline"] == "scratch/corrected"
    assert of_tiny.loc["gain", "baseline"] == "resnet/corrected"
    assert of_tiny.loc["gain", "mean"] == pytest.approx(0.3, abs=0.02)
    assert of_tiny.loc["gain", "verdict"] == "reproduced"
    assert (of_tiny.loc["speed_factor", "mean"], of_tiny.loc["speed_factor", "verdict"]) == (2.0, "not_comparable")
    assert "decided by the hardware" in of_tiny.loc["speed_factor", "note"]
    tiny = study.find(("tiny", "corrected"))
    assert tiny is not None
    assert difference_row(differences, tiny).baseline == "scratch/corrected"
    assert difference_row(differences, tiny, ("resnet", "corrected")).difference == pytest.approx(
        of_tiny.loc["gain", "mean"]
    )


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.6, "inconclusive"), (0.8, "reproduced"), (0.4, "lower")])
def test_better_is_shown_by_an_interval_that_lies_above_zero_alone(tmp_path, accuracy, verdict):
    """Nearly every interval overlaps a range that has no upper end."""
    better = [report.figure("gain", 0.0, 1.0)]
    entries = [report.entry("plain"), report.entry("other", baseline=report.against("plain"), published=better)]
    for of, right in zip(entries, (0.6, accuracy), strict=True):
        for seed in of["seeds"]:
            report.write_run(tmp_path, of, seed, accuracy=right, n_test=1000)
    study = read(Study, json.dumps(report.study(entries)))
    table, _ = compare(study, Arms(read_study(tmp_path, study)), {})
    assert table[table["metric"] == "gain"]["verdict"].tolist() == [verdict]


@pytest.mark.parametrize("task", ["classification", "detection", "generation"])
def test_every_metric_of_a_task_has_its_words(task):
    assert set(metrics_of(task)) <= set(WORDS)
