"""All that each arm scored: `scores.csv`, every score of its task, and of a detector by class and kind of error."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from florilegium.core.coco import FIGURES as COCO
from florilegium.core.metrics import GAP, WORDS
from florilegium.evaluation.detection_errors import KINDS
from florilegium.report.arms import Arms
from florilegium.report.measures import NOWHERE
from florilegium.report.runs import finite
from florilegium.report.statistics import Interval, student
from florilegium.report.study import Entry, Study, labels
from florilegium.report.tables import measured

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
    "Means over an arm's seeds, without those that diverged, with the 95\u00a0% interval over seeds and test images; by class, by "
    "kind of error, after the last epoch, and of training less test, over seeds alone. Errors are counted at an IoU of "
    "0.5, from the score on at which F1 is best: another class, a bad box, an object found twice, nothing there, and "
    "objects that nothing points at."
)


def scores(study: Study, arms: Arms) -> pd.DataFrame:
    """A row for each arm that was run and each of its scores: `COLUMNS`. Fractions; errors are counts."""
    rows = [
        (*entry.key, kind, name, *found, len(finite(arms.runs[entry.key])))
        for entry in study.entries
        if finite(arms.runs[entry.key])
        for kind, name, found in _of_arm(entry, arms)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_arm(entry: Entry, arms: Arms) -> Iterator[tuple[str, str, Interval]]:
    for name in (*entry.scoring.scores, *(name for name in entry.scoring.derived if name == GAP)):
        yield entry.task, name, arms.summary(name, entry.key)
    if entry.task == "detection":
        details = [run.detail() for run in finite(arms.runs[entry.key])]
        # In the orders of COCO, of the classes and of the kinds: a JSON object keeps none.
        for name in COCO:
            yield LAST, name, _interval([of["last"]["overall"][name] for of in details], most=1.0)
        for name in details[0]["classes"]:
            yield BY_CLASS, name, _interval([of["by_class"][name]["AP"] for of in details], most=1.0)
        for name in KINDS:
            yield ERRORS, name, _interval([of["errors"]["counts"][name] for of in details])


def _interval(values: Sequence[float | None], most: float = math.inf) -> Interval:
    """Over seeds; nothing where a run has no such value."""
    known = [float(v) for v in values if v is not None]
    return NOWHERE if len(known) < len(values) else student(known, 0.0, most)


def read_scores(folder: Path) -> pd.DataFrame:
    """`scores` as its stage wrote it below `folder`."""
    return pd.read_csv(folder / "scores.csv", dtype={"name": str}, keep_default_na=False, na_values=[""])


def readable_scores(study: Study, table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table for people of each kind of scores: `title`, `header` and `rows`, an arm a row."""
    arms = labels(study)
    found: list[dict[str, Any]] = []
    for kind, title in TITLES.items():
        part = table[table["kind"] == kind]
        names = list(dict.fromkeys(part["name"]))
        rows = [
            (arms[experiment, arm], *(_cell(kind, own.get(name)) for name in names), str(n_seeds))
            for (experiment, arm, n_seeds), lines in part.groupby(
                ["experiment", "arm", "n_seeds"], sort=False
            )
            for own in [{line.name: line for line in lines.itertuples(index=False)}]
        ]
        if rows:
            header = ("Arm", *(WORDS.get(name, name) for name in names), "Seeds")
            found.append({"title": title, "header": header, "rows": rows})
    return found


def _cell(kind: str, line: Any) -> str:
    if line is None:
        return ""
    metric = "errors" if kind == ERRORS else "AP"  # whose values are fractions, as all scores are
    return measured(metric, line.mean, line.ci_low, line.ci_high)
