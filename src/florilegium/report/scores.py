"""The scores and the costs of each arm: `scores.csv` and `costs.csv`, and scores of attribution methods."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from florilegium.config.metrics import COCO_METRICS, GAP, WORDS
from florilegium.evaluation.detection_errors import KINDS
from florilegium.report.arms import Arms
from florilegium.report.runs import NOWHERE, Run, finite, value
from florilegium.report.statistics import Interval, student
from florilegium.report.study import Entry, Key, Study, labels
from florilegium.report.tables import EMPTY, Table, markdown_table, measured, number, published

COLUMNS = ("experiment", "arm", "kind", "name", "mean", "ci_low", "ci_high", "n_seeds")
BY_CLASS, ERRORS, LAST = "AP by class", "errors", "after the last epoch"
TITLES = {
    "classification": "Scores of the classifiers (%)",
    "detection": "Scores of the detectors (%)",
    LAST: "Scores of the detectors after the last epoch, whichever was selected (%)",
    BY_CLASS: "Average precision by class (%)",
    ERRORS: "Kinds of errors: detections a run, and objects missed",
}  # by kind, in the order of the page
READING = (
    "Means over an arm's seeds, without those that diverged. The 95\u00a0% intervals are over seeds and test images; those by "
    "class, by kind of error, after the last epoch and of training less test are over seeds alone. Errors are counted at an "
    "IoU of 0.5, among the detections from the score of the best F1 on: a wrong class, a bad box, a duplicate of a correct detection, "
    "background, and objects that were missed."
)
COSTS = {
    "params": "Parameters",
    "params_trainable": "Trained",
    "macs": "MACs",
    "checkpoint_bytes": "Checkpoint",
    "peak_memory_bytes": "Peak memory",
    "seconds_per_epoch": "Seconds an epoch",
    "minutes": "Minutes",
    "evaluation_share": "Evaluation (%)",
    "train_images_per_second": "Images/s",
}  # the metrics, each with its short name for people
SETTINGS = ("precision", "device", "threads")
COST_READING = (
    "Means over an arm's seeds, without those that diverged. MACs are the multiply-accumulates of one forward pass. "
    "Peak memory is the device's; on a CPU, the process's. Minutes include evaluation, whose share counts validation "
    "and the tests at the end; images a second are training images. In brackets: as published, on the study's own hardware."
)
MEASURES = {"deletion": -1, "insertion": 1}  # of attribution methods, with the sign of better
RANDOM = ("random_pixels", "random_squares")


def scores(study: Study, arms: Arms) -> pd.DataFrame:
    """A row for each arm that was run and each of its scores: `COLUMNS`. Fractions; errors are counts."""
    rows = [
        (*entry.key, kind, name, *interval, len(finite(arms.runs[entry.key])))
        for entry in study.entries
        if finite(arms.runs[entry.key])
        for kind, name, interval in _scores(entry, arms)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _scores(entry: Entry, arms: Arms) -> Iterator[tuple[str, str, Interval]]:
    """Kind, name and interval of each score of an arm: its task's, then a detector's by class and kind of error."""
    for name in (*entry.scoring.scores, *(name for name in entry.scoring.derived if name == GAP)):
        yield entry.task, name, arms.summary(name, entry.key)
    if entry.task == "detection":
        details = [run.detail() for run in finite(arms.runs[entry.key])]
        # In the orders of COCO, of the classes and of the kinds: a JSON object keeps none.
        for name in COCO_METRICS:
            yield LAST, name, _interval([of["last"]["overall"][name] for of in details], most=1.0)
        for name in details[0]["classes"]:
            yield BY_CLASS, name, _interval([of["by_class"][name]["AP"] for of in details], most=1.0)
        for name in KINDS:
            yield ERRORS, name, _interval([of["errors"]["counts"][name] for of in details])


def _interval(values: Sequence[float | None], most: float = math.inf) -> Interval:
    """Student's interval over seeds; `NOWHERE` where a run has no such value."""
    known = [float(v) for v in values if v is not None]
    return NOWHERE if len(known) < len(values) else student(known, 0.0, most)


def read_scores(folder: Path) -> pd.DataFrame:
    """`scores.csv` in a study's folder, as `scores` made it."""
    return pd.read_csv(folder / "scores.csv", dtype={"name": str}, keep_default_na=False, na_values=[""])


def readable_scores(study: Study, table: pd.DataFrame) -> list[tuple[str, Table]]:
    """Title and table for people of each kind of scores, an arm a row."""
    return [
        (title, _readable(study, kind, of_kind))
        for kind, title in TITLES.items()
        if len(of_kind := table[table["kind"] == kind])
    ]


def _readable(study: Study, kind: str, table: pd.DataFrame) -> Table:
    arms = labels(study)
    metric = "errors" if kind == ERRORS else "AP"  # whose values are fractions, as all scores are
    names = list(dict.fromkeys(table["name"]))
    rows = []
    for (experiment, arm, n_seeds), lines in table.groupby(["experiment", "arm", "n_seeds"], sort=False):
        own = {
            line.name: measured(metric, line.mean, line.ci_low, line.ci_high) for line in lines.itertuples(index=False)
        }
        rows.append((arms[experiment, arm], *(own.get(name, "") for name in names), str(n_seeds)))
    return ("Arm", *(WORDS.get(name, name) for name in names), "Seeds"), rows


def costs(study: Study, runs: Mapping[Key, Sequence[Run]]) -> pd.DataFrame:
    """A row for each arm that was run: `experiment, arm`, `COSTS`, `SETTINGS`, `n_seeds`, and of each cost that the study
    published `published_<metric>_low` and `_high`. Sizes in parameters, multiply-accumulates and bytes; seconds, minutes."""
    rows = [_costs(entry, runs[entry.key]) for entry in study.entries if runs[entry.key]]
    ends = [f"published_{metric}_{end}" for metric in COSTS for end in ("low", "high")]
    beside = [column for column in ends if any(column in row for row in rows)]
    return pd.DataFrame(rows, columns=["experiment", "arm", *COSTS, *SETTINGS, "n_seeds", *beside])


def _costs(entry: Entry, runs: Sequence[Run]) -> dict[str, Any]:
    used = finite(runs) or list(runs)
    row: dict[str, Any] = {"experiment": entry.experiment, "arm": entry.arm, "n_seeds": len(used)}
    for metric in COSTS:
        row[metric] = float(np.mean([value(run, metric) for run in used]))
    for key in SETTINGS:
        row[key] = ", ".join(sorted({str(run.cost()[key]) for run in used}))
    for given in entry.published:
        if given.metric in COSTS:
            row[f"published_{given.metric}_low"] = given.low
            row[f"published_{given.metric}_high"] = given.high
    return row


def read_costs(folder: Path) -> pd.DataFrame:
    """`costs.csv` in a study's folder, as `costs` made it."""
    return pd.read_csv(folder / "costs.csv", dtype=dict.fromkeys(SETTINGS, str))


def readable_costs(study: Study, table: pd.DataFrame) -> Table:
    """The table of costs for people. A setting that all arms share still has its column: it is half of a cost."""
    header = ("Arm", *COSTS.values(), *(setting.capitalize() for setting in SETTINGS), "Seeds")
    names = labels(study)
    return header, [
        (
            names[row["experiment"], row["arm"]],
            *(_cost(row, metric) for metric in COSTS),
            *(str(row[key]) for key in SETTINGS),
            str(row["n_seeds"]),
        )
        for row in table.to_dict("records")
    ]


def _cost(row: Mapping[Any, Any], metric: str) -> str:
    low, high = (row.get(f"published_{metric}_{end}", np.nan) for end in ("low", "high"))
    beside = published(metric, low, high)
    ours = number(metric, row[metric])
    return ours if beside == EMPTY else f"{ours} ({beside})"


def costs_markdown(study: Study, table: pd.DataFrame) -> str:
    """The Markdown twin of `costs.csv`."""
    cells = markdown_table(*readable_costs(study, table))
    return f"# {study.title}: cost ({study.preset})\n\n{COST_READING}\n\n{cells}\n"


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """The quality of the pixel orders in the table of an `AttributionRecord`: a row for each measure and method.

    `mean, ci_low, ci_high`: area under the curve, over images; `against`: the random order that is better by
    that measure; `gain, gain_low, gain_high`: the improvement over it on the same images, empty for random orders; `n_images`.
    Intervals are Student's, at 95 %, and empty for a single image and where all are alike.
    """
    rows = []
    for measure, sign in MEASURES.items():
        areas = table.pivot(index="image", columns="method", values=measure)  # an image a row
        best = max(RANDOM, key=lambda order: sign * areas[order].mean())
        for method in dict.fromkeys(table["method"]):
            gains = sign * (areas[method] - areas[best]).to_numpy()
            gain = student(gains) if method not in RANDOM else NOWHERE
            rows.append((measure, method, *student(areas[method].to_numpy()), best, *gain, len(areas)))
    columns = ["measure", "method", "mean", "ci_low", "ci_high", "against", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=[*columns, "n_images"])
