"""The scores and the costs of each arm: `scores.csv` and `costs.csv`, and scores of attribution methods."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from florilegium.config.metrics import CALIBRATION, COCO_METRICS, GAP, WORDS
from florilegium.evaluation.detection_errors import KINDS
from florilegium.report.arms import Arms
from florilegium.report.runs import NOWHERE, Run, finite, value
from florilegium.report.statistics import Interval, share_interval, student
from florilegium.report.study import Entry, Key, Study, labels
from florilegium.report.tables import EMPTY, Table, inline, markdown_table, measured, number, published

COLUMNS = ["experiment", "arm", "kind", "name", "mean", "ci_low", "ci_high", "n_seeds"]
BY_CLASS, ERRORS, LAST = "AP by class", "errors", "after the last epoch"
CALIBRATED, ACCURACY = "calibration", "accuracy by class"
TITLES = {
    "classification": "Scores of the classifiers (%)",
    CALIBRATED: "Calibration of the classifiers",
    "detection": "Scores of the detectors (%)",
    LAST: "Scores of the detectors after the last epoch, whichever was selected (%)",
    BY_CLASS: "Average precision by class (%)",
    ERRORS: "Kinds of errors: detections a run, and objects missed",
}  # by kind, in the order of the page; classes of classifiers can be many, and have a figure there
READING = (
    "Means over an arm's seeds, without those that diverged. The 95\u00a0% intervals are over seeds and test images; "
    "those by class, by kind of error, after the last epoch, of calibration and of training less test are over seeds "
    "alone, those of a classifier's classes over both. The calibration error is the mean difference between how often "
    "an answer is right and how probable the classifier says it is (Guo et al. 2017, 15 bins); the temperature is the "
    "one that fits the validation images best, below 1 for a classifier that is too unsure. Errors of detectors are "
    "counted at an IoU of 0.5, among the detections from the score of the best F1 on: a wrong class, a bad box, a "
    "duplicate of a correct detection, background, and objects that were missed."
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
    "and the tests at the end; images a second are training images. In brackets: as published, on the study's own "
    "hardware."
)
MEASURES = {"deletion": -1, "insertion": 1}  # of attribution methods, with the sign of better
RANDOM = ("random_pixels", "random_squares")


# Scores


def scores(study: Study, arms: Arms) -> pd.DataFrame:
    """A row for each arm that was run and each of its scores: `COLUMNS`. Fractions; errors are counts."""
    rows = []
    for entry in study.entries:
        runs = finite(arms.runs[entry.key])
        if runs:
            rows += [
                (*entry.key, kind, name, *interval, len(runs)) for kind, name, interval in _scores(entry, arms, runs)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _scores(entry: Entry, arms: Arms, runs: Sequence[Run]) -> Iterator[tuple[str, str, Interval]]:
    """Kind, name and interval of each score of an arm: its task's, then a detector's by class and kind of error."""
    for name in (*entry.scoring.scores, *(name for name in entry.scoring.derived if name == GAP)):
        yield entry.task, name, arms.summary(name, entry.key)
    if entry.task == "classification":
        known = ((name, arms.summary(name, entry.key)) for name in CALIBRATION)
        yield from ((CALIBRATED, name, interval) for name, interval in known if not math.isnan(interval[0]))
        yield from ((ACCURACY, name, interval) for name, interval in accuracy_by_class(runs).items())
    if entry.task == "detection":
        details = [run.detail() for run in runs]
        # In the orders of COCO, of the classes and of the kinds: a JSON object keeps none.
        for name in COCO_METRICS:
            yield LAST, name, _interval([of["last"]["overall"][name] for of in details], most=1.0)
        for name in details[0]["classes"]:
            yield BY_CLASS, name, _interval([of["by_class"][name]["AP"] for of in details], most=1.0)
        for name in KINDS:
            yield ERRORS, name, _interval([of["errors"]["counts"][name] for of in details])


def accuracy_by_class(runs: Sequence[Run]) -> dict[str, Interval]:
    """The accuracy on the images of each class, with its interval over seeds and images, by the class's name; empty
    where it is not known of some run."""
    known = [by_class for run in runs if (by_class := run.answers.by_class)]
    if not known or len(known) < len(runs):
        return {}
    return {
        name: share_interval(np.array([of_run[name][1] / n for of_run in known]), n)
        for name, (n, _) in known[0].items()
    }


def _interval(values: Sequence[float | None], most: float = math.inf) -> Interval:
    """Student's interval over seeds; `NOWHERE` where a run has no such value."""
    known = [float(v) for v in values if v is not None]
    return NOWHERE if len(known) < len(values) else student(known, 0.0, most)


def readable_scores(study: Study, table: pd.DataFrame) -> list[tuple[str, Table]]:
    """Title and table for people of each kind of scores, an arm a row."""
    kinds = [kind for kind in TITLES if (table["kind"] == kind).any()]
    return [(TITLES[kind], _readable(study, kind, table[table["kind"] == kind])) for kind in kinds]


def _readable(study: Study, kind: str, table: pd.DataFrame) -> Table:
    arms = labels(study)
    metric = "errors" if kind == ERRORS else "AP"  # whose values are fractions, as nearly all scores are
    names = list(dict.fromkeys(table["name"]))
    rows = []
    for (experiment, arm, n_seeds), lines in table.groupby(["experiment", "arm", "n_seeds"], sort=False):
        own = {
            of.name: measured(of.name if kind == CALIBRATED else metric, of.mean, of.ci_low, of.ci_high)
            for of in lines.itertuples(index=False)
        }
        rows.append((arms[experiment, arm], *(own.get(name, EMPTY) for name in names), str(n_seeds)))
    return ("Arm", *(WORDS.get(name, name) for name in names), "Seeds"), rows


# Costs


def costs(study: Study, runs: Mapping[Key, Sequence[Run]]) -> pd.DataFrame:
    """A row for each arm that was run: `experiment, arm`, `COSTS`, `SETTINGS`, `n_seeds`, and `published_<metric>_low`
    and `_high` of each cost that the study published. Parameters, multiply-accumulates, bytes, seconds and minutes."""
    rows = [_costs(entry, runs[entry.key]) for entry in study.entries if runs[entry.key]]
    ends = [f"published_{metric}_{end}" for metric in COSTS for end in ("low", "high")]
    beside = [column for column in ends if any(column in row for row in rows)]
    return pd.DataFrame(rows, columns=["experiment", "arm", *COSTS, *SETTINGS, "n_seeds", *beside])


def _costs(entry: Entry, runs: Sequence[Run]) -> dict[str, Any]:
    used = finite(runs) or list(runs)
    row: dict[str, Any] = {"experiment": entry.experiment, "arm": entry.arm, "n_seeds": len(used)}
    row |= {metric: float(np.mean([value(run, metric) for run in used])) for metric in COSTS}
    row |= {key: ", ".join(sorted({str(run.cost()[key]) for run in used})) for key in SETTINGS}
    for given in entry.published:
        if given.metric in COSTS:
            row[f"published_{given.metric}_low"] = given.low
            row[f"published_{given.metric}_high"] = given.high
    return row


def readable_costs(study: Study, table: pd.DataFrame) -> Table:
    """The table of costs for people. A setting that all arms share still has its column: it is half of a cost."""
    header = ("Arm", *COSTS.values(), *(setting.capitalize() for setting in SETTINGS), "Seeds")
    names, rows = labels(study), []
    for row in table.to_dict("records"):
        measured_costs = (_cost(row, metric) for metric in COSTS)
        settings = (str(row[key]) for key in (*SETTINGS, "n_seeds"))
        rows.append((names[row["experiment"], row["arm"]], *measured_costs, *settings))
    return header, rows


def _cost(row: Mapping[Any, Any], metric: str) -> str:
    ours = number(metric, row[metric])
    beside = published(metric, *(row.get(f"published_{metric}_{end}", math.nan) for end in ("low", "high")))
    return ours if beside == EMPTY else f"{ours} ({beside})"


def costs_markdown(study: Study, table: pd.DataFrame) -> str:
    """The Markdown twin of `costs.csv`."""
    cells = markdown_table(*readable_costs(study, table))
    return f"# {inline(study.title)}: cost ({study.preset})\n\n{COST_READING}\n\n{cells}\n"


# Attribution methods


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """The quality of pixel orders by attribution methods: a row for each measure and method of a table of them.

    `mean, ci_low, ci_high`: area under the curve, over images; `against`: the random order that is better by that
    measure; `gain, gain_low, gain_high`: the improvement over it on the same images, empty for random orders;
    `n_images`. Intervals are Student's, at 95 %, and empty for a single image and where all are alike.
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
