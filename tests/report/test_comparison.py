"""The comparison says what was measured beside what was published, row by row."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from florilegium.core.errors import UserError
from florilegium.report.arms import Arms
from florilegium.report.comparison import StudyTables, compare, tabulate
from florilegium.report.runs import epochs_to_90_percent, read_runs, read_study
from florilegium.report.study import Study, read
from florilegium.report.tables import markdown, read_csv, readable, write_csv
from tests.helpers import detection, report

CONTRACT = (
    "experiment, arm, metric, published_low, published_high, published_source, mean, ci_low, ci_high, n_seeds, n_test, "
    "baseline, p_value, p_adjusted, detectable, verdict, differs, note"
)


def compared(root: Path, description: dict[str, Any], **images: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    study = read(Study, json.dumps(description))
    return compare(study, Arms(read_study(root, study)), images)


def judged(root: Path, accuracies: list[float], low: float, high: float, **changes: Any) -> str:
    """The verdict on runs of these accuracies, 1000 test images, against a published range."""
    of = report.entry("net", seeds=list(range(len(accuracies))), published=[report.figure("top1", low, high)])
    for seed, accuracy in enumerate(accuracies):
        report.write_run(root, of, seed, accuracy=accuracy, n_test=1000)
    table, _ = compared(root, report.study([of], **changes))
    return str(table["verdict"].iloc[0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    description = report.study(report.flowers())
    return description, report.write_study(tmp_path_factory.mktemp("runs"), description)


def test_columns_are_the_contracts(whole: tuple[dict[str, Any], Path]) -> None:
    table, _ = compared(whole[1], whole[0])
    assert ", ".join(table.columns) == CONTRACT


def test_every_arm_and_every_published_value_has_a_row(whole: tuple[dict[str, Any], Path]) -> None:
    description, root = whole
    table, _ = compared(root, description)
    rows = {(row.experiment, row.arm, row.metric) for row in table.itertuples()}
    for entry in description["entries"]:
        assert (entry["experiment"], entry["arm"], "top1") in rows
        for published in entry["published"]:
            assert (entry["experiment"], entry["arm"], published["metric"]) in rows
    assert len(rows) == len(table)


def test_training_accuracy_is_held_against_training_accuracy(whole: tuple[dict[str, Any], Path]) -> None:
    table, _ = compared(whole[1], whole[0])
    row = table[table["metric"] == "train_top1"].iloc[0]
    assert (row["published_low"], row["published_high"]) == (0.91, 0.92)
    test = table[(table["arm"] == "as_published") & (table["metric"] == "top1")].iloc[0]
    assert row["mean"] == pytest.approx(test["mean"] + 0.02)
    assert math.isnan(row["p_value"]) and row["baseline"] == ""


def test_effects_are_found_and_their_intervals_leave_out_zero(whole: tuple[dict[str, Any], Path]) -> None:
    _, differences = compared(whole[1], whole[0])
    by_arm = differences.set_index(["experiment", "arm"])
    leak, gain = by_arm.loc[("from102_leaky", "leaky")], by_arm.loc[("from102_clean", "corrected")]
    assert leak["baseline"] == "from102_clean/corrected" and gain["baseline"] == "scratch/corrected"
    assert leak["difference"] == pytest.approx(0.07, abs=0.01) and leak["ci_low"] > 0
    assert gain["ci_low"] > 0 and gain["p_value"] < 0.001


@pytest.mark.parametrize(
    ("accuracies", "low", "high", "verdict"),
    [
        ([0.905, 0.910, 0.915], 0.90, 0.915, "reproduced"),
        ([0.80, 0.81, 0.82], 0.90, 0.915, "lower"),
        ([0.95, 0.96, 0.97], 0.90, 0.915, "higher"),
        ([0.70, 0.90, 0.99], 0.90, 0.915, "inconclusive"),
        ([0.91], 0.90, 0.915, "reproduced"),
        ([0.80], 0.90, 0.90, "lower"),
    ],
)
def test_verdicts(tmp_path: Path, accuracies: list[float], low: float, high: float, verdict: str) -> None:
    assert judged(tmp_path, accuracies, low, high) == verdict


def test_one_run_has_wilsons_interval(tmp_path: Path) -> None:
    of = report.entry("net", seeds=[0])
    report.write_run(tmp_path, of, 0, accuracy=311 / 340)
    row = compared(tmp_path, report.study([of]))[0].iloc[0]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.880, 0.940), abs=5e-4)
    assert row["n_seeds"] == 1 and row["n_test"] == 340


def test_what_was_not_run_says_so(tmp_path: Path) -> None:
    of = report.entry("net", published=[report.figure("top1", 0.9, 0.9)])
    row = compared(tmp_path, report.study([of]))[0].iloc[0]
    assert row["verdict"] == "not_run" and row["n_seeds"] == 0
    assert math.isnan(row["mean"]) and pd.isna(row["n_test"])


def test_diverged_runs_are_counted_and_left_out(tmp_path: Path) -> None:
    of = report.entry("net", published=[report.figure("top1", 0.9, 0.9)])
    for seed in of["seeds"]:
        report.write_run(tmp_path, of, seed, accuracy=0.1 if seed == 1 else 0.9, diverged=seed == 1)
    row = compared(tmp_path, report.study([of]))[0].iloc[0]
    assert row["n_seeds"] == 2 and row["mean"] == pytest.approx(0.9)
    assert "1 of 3 runs diverged (seed 1)" in row["note"]


def test_an_arm_that_always_diverges_is_a_result(tmp_path: Path) -> None:
    of = report.entry("net", seeds=[0], published=[report.figure("top1", 0.9, 0.9)])
    report.write_run(tmp_path, of, 0, accuracy=0.1, diverged=True)
    assert compared(tmp_path, report.study([of]))[0]["verdict"].iloc[0] == "diverged"


def test_notes_carry_quirk_preset_split_and_warnings(tmp_path: Path) -> None:
    of = report.entry("net", seeds=[0], note="no validation split")
    report.write_run(tmp_path, of, 0, accuracy=0.9, warnings=("batch split in 2",))
    own = "the project's own, seeded and stratified"
    row = compared(tmp_path, report.study([of]), flowers17={"split_origin": own, "n_classes": 17, "n_images": 1360})[
        0
    ].iloc[0]
    assert row["note"] == f"no validation split | 64-pixel images | splits: {own} | batch split in 2 (1 of 1 runs)"


def test_no_paired_test_on_different_images(tmp_path: Path) -> None:
    a, b = report.entry("a", seeds=[0]), report.entry("b", seeds=[0], baseline=report.against("a"))
    report.write_run(tmp_path, a, 0, accuracy=0.9, n_test=100)
    report.write_run(tmp_path, b, 0, accuracy=0.9, n_test=101)
    table, differences = compared(tmp_path, report.study([a, b]))
    assert differences.empty
    assert table["p_value"].isna().all() and (table["baseline"] == "").all()
    (note,) = table[(table["experiment"] == "b") & (table["metric"] == "top1")]["note"]
    assert "no test against a/corrected: it was tested on other images" in note


def test_a_published_metric_that_no_run_has_is_an_error(tmp_path: Path) -> None:
    of = report.entry("net", seeds=[0], published=[report.figure("top_1", 0.9, 0.9)])
    report.write_run(tmp_path, of, 0, accuracy=0.9)
    with pytest.raises(UserError, match=r"unknown metric 'top_1', did you mean 'top1'\?"):
        compared(tmp_path, report.study([of]))


def test_epochs_to_90_percent_of_the_last_accuracy(tmp_path: Path) -> None:
    of = report.entry("net", seeds=[0])
    folder = report.write_run(tmp_path, of, 0, accuracy=0.9)
    history = pd.DataFrame({"epoch": [1, 2, 3, 4], "train_loss": 1.0, "val_top1": [0.2, 0.71, 0.73, 0.8]})
    history.to_csv(folder / "history.csv", index=False)
    study = read(Study, json.dumps(report.study([of])))
    (run,) = read_runs(tmp_path, study.entries[0])
    assert epochs_to_90_percent(run) == 3


def test_without_validation_there_is_no_row_of_epochs(whole: tuple[dict[str, Any], Path]) -> None:
    table, _ = compared(whole[1], whole[0])
    assert "epochs_to_90_percent" not in set(table[table["arm"] == "as_published"]["metric"])
    assert "epochs_to_90_percent" in set(table[table["arm"] == "corrected"]["metric"])


def test_a_misspelt_description_is_one_sentence() -> None:
    with pytest.raises(UserError, match="--spec: preset"):
        read(Study, json.dumps({**report.study([]), "preset": 3}))


def test_markdown_reads_in_percent_and_counts_its_notes(whole: tuple[dict[str, Any], Path]) -> None:
    table, _ = compared(whole[1], whole[0])
    text = markdown(read(Study, json.dumps(whole[0])), table)
    (line,) = [line for line in text.splitlines() if "(as published) | test top-1" in line]
    assert "| 90.0 to 91.5 | 86.0 [82.0, 89.3] | lower |" in line
    assert "1. 64-pixel images" in text and "2. no validation split" in text
    assert "DEMO" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {14}


def test_how_soon_an_arm_is_good_enough_is_a_column(whole: tuple[dict[str, Any], Path]) -> None:
    table, _ = compared(whole[1], whole[0])
    (header, rows), _ = readable(read(Study, json.dumps(whole[0])), table)
    metrics = [row[header.index("Metric")] for row in rows]
    assert "test top-1" in metrics and not [metric for metric in metrics if "epoch" in metric]
    epochs = {row[0]: row[header.index("Epochs to 90\u00a0%")] for row in rows if row[1] == "test top-1"}
    (expected,) = table[(table["experiment"] == "scratch") & (table["metric"] == "epochs_to_90_percent")]["mean"]
    assert epochs["ResNet-18 from scratch"].startswith(f"{expected:.1f} [")
    assert epochs["ResNet-18 from clean Oxford 102 (as published)"] == "–", "it has no validation"


def test_a_column_that_says_nothing_is_left_out(tmp_path: Path) -> None:
    report.write_run(tmp_path, of := report.entry("alone", seeds=[0]), 0, accuracy=0.6)
    table, _ = compared(tmp_path, report.study([of]))
    (header, _), _ = readable(read(Study, json.dumps(report.study([of]))), table)
    assert "Ours" in header and not {"Published", "p", "Against"} & set(header)


def test_markdown_of_a_demo_says_demo(whole: tuple[dict[str, Any], Path]) -> None:
    study = read(Study, json.dumps({**whole[0], "rendered": True}))
    table, _ = compared(whole[1], whole[0])
    assert "**DEMO**: all pictures are drawn" in markdown(study, table)


def test_a_table_survives_csv(whole: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """Counts stay integers beside an arm that was not run and has none."""
    description = {**whole[0], "entries": [*whole[0]["entries"], report.entry("unrun")]}
    tables = compared(whole[1], description)
    for table, name in zip(tables, ("comparison.csv", "differences.csv"), strict=True):
        write_csv(table, tmp_path / name)
    kept, differences = (read_csv(tmp_path / f"{name}.csv") for name in ("comparison", "differences"))
    study = read(Study, json.dumps(description))
    assert readable(study, kept) == readable(study, tables[0])
    assert kept["n_test"].isna().any() and len(differences) == len(tables[1])


def test_a_studys_tables_are_read_back_as_they_were_written(whole: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    claim = {"name": "helps", "says": "It helps.", "source": "page 1", "metric": "top1", "at_least": 0.0, "n_steps": 1}
    step = [["from102_clean", "corrected"], ["scratch", "corrected"]]
    study = read(Study, json.dumps({**whole[0], "claims": [{**claim, "steps": [step]}]}))
    tables = tabulate(study, read_study(whole[1], study), {})
    files = tables.write(tmp_path)
    assert {path.name for path in files} == {
        f"{n}.csv" for n in ("claims", "comparison", "differences", "costs", "scores")
    }
    again = StudyTables.read(tmp_path, study)
    assert again.generated is None and list(again.by_file()) == list(tables.by_file())
    for name, table in again.by_file().items():
        before = tables.by_file()[name]
        assert list(table) == list(before) and len(table) == len(before) > 0
        write_csv(table, tmp_path / "again.csv")
        assert (tmp_path / "again.csv").read_bytes() == (tmp_path / name).read_bytes(), name


def detectors(root: Path, arms: dict[str, list[float]], **changes: Any) -> list[dict[str, Any]]:
    """Arms of a detection study whose runs find more or less, by the share of the objects that each run finds."""
    scenes, found = detection.write_scenes(root / "scenes"), []
    for name, skills in arms.items():
        of = detection.entry(name, seeds=list(range(len(skills))), **changes.get(name, {}))
        for seed, skill in enumerate(skills):
            detection.write_run(root, of, seed, scenes, skill=skill)
        found.append(of)
    return found


def test_detectors_are_judged_and_compared_over_seeds_and_images(tmp_path: Path) -> None:
    published = [report.figure("AP", 0.2, 0.95)]
    given = {"r18": {"published": published}, "r50": {"baseline": report.against("r18")}}
    entries = detectors(tmp_path, {"r18": [0.8, 0.8, 0.8], "r50": [0.3, 0.3, 0.3]}, **given)
    table, differences = compared(tmp_path, report.study(entries))
    first = table[table["experiment"] == "r18"].iloc[0]
    aps = {
        of["experiment"]: [
            json.loads(path.read_text())["AP"] for path in sorted(tmp_path.glob(f"{of['experiment']}/*/*/metrics.json"))
        ]
        for of in entries
    }
    assert (first["metric"], first["mean"]) == ("AP", pytest.approx(np.mean(aps["r18"])))
    low, high = stats.t.interval(0.95, 2, np.mean(aps["r18"]), stats.sem(aps["r18"]))
    assert first["ci_low"] <= low and first["ci_high"] >= min(high, 1)
    (row,) = differences.itertuples()
    over_seeds = stats.ttest_rel(aps["r50"], aps["r18"])
    assert row.difference == pytest.approx(np.mean(aps["r50"]) - np.mean(aps["r18"]))
    assert row.ci_high - row.ci_low >= np.diff(over_seeds.confidence_interval())[0] * 0.999
    assert (row.mean, row.baseline_mean) == pytest.approx((np.mean(aps["r50"]), np.mean(aps["r18"])))
    assert table[(table["experiment"] == "r50") & (table["metric"] == "AP")]["p_value"].item() == row.p_value
    assert "epochs_to_90_percent" in set(table["metric"])


def test_one_detector_has_an_interval_of_its_images(tmp_path: Path) -> None:
    (of,) = detectors(tmp_path, {"r18": [0.8]})
    row = compared(tmp_path, report.study([of]))[0].iloc[0]
    assert row["ci_low"] < row["mean"] < row["ci_high"]


def test_p_values_are_adjusted_over_all_tests_of_the_study(whole: tuple[dict[str, Any], Path]) -> None:
    """Holm by hand: the smallest times their number, each next one times one less, and never falling."""
    table, differences = compared(whole[1], whole[0])
    ordered = differences.sort_values("p_value")
    expected, most = [], 0.0
    for place, p in enumerate(ordered["p_value"]):
        most = max(most, min(1.0, p * (len(ordered) - place)))
        expected.append(most)
    assert ordered["p_adjusted"].tolist() == pytest.approx(expected)
    assert (differences["detectable"] > 0).all()
    tested = table[table["baseline"] != ""]
    for column in ("p_value", "p_adjusted", "detectable"):
        assert tested[column].tolist() == pytest.approx(differences[column].tolist())


def test_means_of_a_difference_are_over_the_seeds_in_common(tmp_path: Path) -> None:
    base = report.entry("scratch", seeds=[0, 1, 2, 3, 4])
    arm = report.entry("transfer", seeds=[1, 2], baseline=report.against("scratch"))
    for seed in base["seeds"]:
        report.write_run(tmp_path, base, seed, accuracy=0.5 + 0.05 * seed)
    for seed in arm["seeds"]:
        report.write_run(tmp_path, arm, seed, accuracy=0.8)
    (row,) = compared(tmp_path, report.study([base, arm]))[1].itertuples()
    assert row.baseline_mean == pytest.approx(0.575, abs=0.002) and row.mean == pytest.approx(0.8)
    assert row.difference == pytest.approx(row.mean - row.baseline_mean)


def test_arms_without_a_common_seed_have_no_test_and_say_so(tmp_path: Path) -> None:
    base, arm = report.entry("a", seeds=[0, 1]), report.entry("b", seeds=[2, 3], baseline=report.against("a"))
    for of in (base, arm):
        for seed in of["seeds"]:
            report.write_run(tmp_path, of, seed, accuracy=0.8)
    table, differences = compared(tmp_path, report.study([base, arm]))
    assert differences.empty
    row = table[(table["experiment"] == "b") & (table["metric"] == "top1")].iloc[0]
    assert "no test against a/corrected: too few seeds are common" in row["note"] and math.isnan(row["p_value"])


def test_seeds_of_other_test_images_are_one_sentence(tmp_path: Path) -> None:
    of = report.entry("a", seeds=[0, 1])
    for seed in of["seeds"]:
        report.write_run(tmp_path, of, seed, accuracy=0.8, n_test=340 + seed)
    with pytest.raises(UserError, match="a/corrected: its seeds were tested on different images; run all of"):
        compared(tmp_path, report.study([of]))


def test_what_the_hardware_decides_is_shown_and_not_judged(tmp_path: Path) -> None:
    published = [report.figure("minutes", 171.1, 171.1), report.figure("params", 11.1e6, 11.2e6)]
    of = report.entry("net", seeds=[0, 1], published=published)
    for seed in of["seeds"]:
        report.write_run(tmp_path, of, seed, accuracy=0.9)
    rows = compared(tmp_path, report.study([of]))[0].set_index("metric")
    assert rows.loc["minutes", "mean"] == pytest.approx(130.2 / 60)
    assert rows.loc["minutes", "verdict"] == "not_comparable"
    assert "decided by the hardware (here cpu in bf16)" in rows.loc["minutes", "note"]
    assert rows.loc["params", "verdict"] == "reproduced"
    assert "hardware" not in rows.loc["params", "note"]


def test_crashes_are_a_rate_with_wilsons_interval_over_seeds(tmp_path: Path) -> None:
    of = report.entry("tiny", seeds=[0, 1, 2, 3, 4], published=[report.figure("divergence_rate", 0.0, 0.05)])
    for seed in of["seeds"]:
        report.write_run(tmp_path, of, seed, accuracy=0.9, diverged=seed == 2)
    row = compared(tmp_path, report.study([of]))[0].set_index("metric").loc["divergence_rate"]
    assert (row["mean"], row["n_seeds"]) == (0.2, 5)
    exact = stats.binomtest(1, 5).proportion_ci(method="wilson")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((exact.low, exact.high))
    assert row["verdict"] == "inconclusive"


def test_divergence_is_counted_where_it_happened_alone(tmp_path: Path) -> None:
    of = report.entry("net", seeds=[0, 1])
    for seed in of["seeds"]:
        report.write_run(tmp_path, of, seed, accuracy=0.9, diverged=True)
    rows = compared(tmp_path, report.study([of]))[0].set_index("metric")
    assert rows.loc["divergence_rate", "mean"] == 1.0 and rows.loc["top1", "n_seeds"] == 0
