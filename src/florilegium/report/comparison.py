"""The comparison of a study: what was published, what we measured, and how far the two agree."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from florilegium.core.errors import unknown
from florilegium.core.published import Published
from florilegium.report.runs import Run, compare_arms, epochs_to_90_percent, finite
from florilegium.report.statistics import t_interval, wilson
from florilegium.report.study import Entry, Key, Study

COLUMNS = (
    "experiment",
    "arm",
    "metric",
    "published_low",
    "published_high",
    "published_source",
    "mean",
    "ci_low",
    "ci_high",
    "n_seeds",
    "n_test",
    "baseline",
    "p_value",
    "verdict",
    "note",
)
DIFFERENCE_COLUMNS = (
    "experiment",
    "arm",
    "baseline",
    "difference",
    "ci_low",
    "ci_high",
    "p_value",
    "n_seeds",
    "n_test",
    "method",
)
MAIN = "top1"
EPOCHS = "epochs_to_90_percent"
ON_TEST = ("top1", "top5", "last_top1")  # fractions of the `n_test` test images
FRACTIONS = (*ON_TEST, "train_top1")
SIZES = ("params", "params_trainable", "macs", "checkpoint_bytes")  # the same in every run
WIDEST = 0.10  # an interval of an accuracy that is wider than this decides nothing by overlapping
OWN_SPLIT = "project's own"
NOTE_SEPARATOR = " | "
COUNTS = {"n_seeds": "Int64", "n_test": "Int64"}  # integers that may be absent
BLANK = math.nan

Interval = tuple[float, float, float]


def compare(
    study: Study, runs: Mapping[Key, Sequence[Run]], splits: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables: `COLUMNS`, the contract of `comparison.csv`, and the paired differences behind its p-values.

    Args:
        study: the study's description.
        runs: the finished runs of each arm, see `report.runs.read_study`.
        splits: where the splits of each data set come from, by data set.

    Raises:
        UserError: a published figure names a metric that the runs do not have.
    """
    differences = pd.DataFrame(_differences(study, runs), columns=list(DIFFERENCE_COLUMNS))
    p_values = {(d.experiment, d.arm): d.p_value for d in differences.itertuples()}
    rows = [
        row
        for entry in study.entries
        for row in _rows(
            study, entry, runs[entry.key], p_values.get(entry.key), splits.get(entry.dataset, "")
        )
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(COUNTS), differences


def read_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`compare`'s two tables as its stage wrote them below `folder`."""
    files = (folder / "comparison.csv", folder / "differences.csv")
    comparison, differences = (pd.read_csv(file, dtype=COUNTS) for file in files)
    return comparison, differences


def _differences(study: Study, runs: Mapping[Key, Sequence[Run]]) -> Iterator[tuple[Any, ...]]:
    for entry in study.entries:
        baseline = study.find(entry.baseline_key)
        found = compare_arms(runs[entry.key], runs[baseline.key]) if baseline else None
        if baseline and found:
            d, n_seeds, n_images = found
            name = "/".join(baseline.key)
            yield *entry.key, name, d.mean, d.low, d.high, d.p_value, n_seeds, n_images, d.method


def _rows(
    study: Study, entry: Entry, runs: Sequence[Run], p_value: float | None, split: str
) -> Iterator[dict[str, Any]]:
    used = finite(runs)
    notes = _notes(study, entry, runs, split)
    for metric, published in _wanted(entry, used):
        mean, low, high = summary(metric, used)
        tested = metric == MAIN and p_value is not None
        parts = [*notes, published.note if published else ""]
        yield {
            "experiment": entry.experiment,
            "arm": entry.arm,
            "metric": metric,
            "published_low": published.low if published else BLANK,
            "published_high": published.high if published else BLANK,
            "published_source": published.source if published else "",
            "mean": mean,
            "ci_low": low,
            "ci_high": high,
            "n_seeds": len(used),
            "n_test": used[0].metrics["n_test"] if used else pd.NA,
            "baseline": "/".join(entry.baseline_key) if tested and entry.baseline_key else "",
            "p_value": p_value if tested else BLANK,
            "verdict": verdict(study, metric, published, runs, (mean, low, high)),
            "note": NOTE_SEPARATOR.join(dict.fromkeys(part for part in parts if part)),
        }


def _wanted(entry: Entry, used: Sequence[Run]) -> Iterator[tuple[str, Published | None]]:
    """The main metric, every published figure, and the speed of convergence where it was validated."""
    if not any(published.metric == MAIN for published in entry.published):
        yield MAIN, None
    for published in entry.published:
        yield published.metric, published
    published_metrics = {published.metric for published in entry.published}
    if EPOCHS not in published_metrics and any(epochs_to_90_percent(run) is not None for run in used):
        yield EPOCHS, None


def value(run: Run, metric: str) -> float:
    """One metric of one run; NaN where the run has none (no validation, say)."""
    if metric == EPOCHS:
        epochs = epochs_to_90_percent(run)
        return BLANK if epochs is None else float(epochs)
    if metric not in run.metrics:
        raise unknown("metric", metric, [*run.metrics, EPOCHS], str(run.folder / "metrics.json"))
    found = run.metrics[metric]
    return BLANK if found is None else float(found)


def summary(metric: str, runs: Sequence[Run]) -> Interval:
    """Mean and 95 % interval: t over seeds; for one run Wilson, where images were counted, else none.

    The interval of an accuracy is cut at 0 and 1, that of a number of epochs at 1.
    """
    values = [value(run, metric) for run in runs]
    if not values or any(math.isnan(v) for v in values):
        return BLANK, BLANK, BLANK
    if len(values) > 1:
        mean, low, high = t_interval(values)
        if metric in FRACTIONS:
            return mean, max(0.0, low), min(1.0, high)
        return (mean, max(1.0, low), high) if metric == EPOCHS else (mean, low, high)
    only = values[0]
    if metric in ON_TEST:
        n = int(runs[0].metrics["n_test"])
        return (only, *wilson(round(only * n), n))
    return (only, only, only) if metric in SIZES else (only, BLANK, BLANK)


def verdict(
    study: Study, metric: str, published: Published | None, runs: Sequence[Run], interval: Interval
) -> str:
    """One word on a row.

    `not_run`, `diverged` (every run did); `not_comparable` where the preset's data are not the
    study's, or nothing was published; `higher` and `lower` when our interval lies wholly outside
    the published range; `inconclusive` when there is no interval, or when it overlaps that range
    but is wider than 10 points of accuracy; else `reproduced`.
    """
    _, low, high = interval
    if not runs:
        return "not_run"
    if not finite(runs):
        return "diverged"
    if not study.comparable or published is None:
        return "not_comparable"
    if math.isnan(low):
        return "inconclusive"
    if low > published.high:
        return "higher"
    if high < published.low:
        return "lower"
    return "inconclusive" if metric in FRACTIONS and high - low > WIDEST else "reproduced"


def _notes(study: Study, entry: Entry, runs: Sequence[Run], split: str) -> list[str]:
    notes = [entry.note, study.preset_note]
    if OWN_SPLIT in split:
        notes.append(f"splits: {split}")
    if runs and len(runs) < len(entry.seeds):
        notes.append(f"{len(runs)} of {len(entry.seeds)} seeds were run")
    gone = [run for run in runs if run.diverged]
    if gone:
        seeds = ", ".join(str(run.seed) for run in gone)
        notes.append(f"{len(gone)} of {len(runs)} runs diverged (seed {seeds}) and are left out of the mean")
    warnings = Counter(text for run in runs for text in run.receipt().get("warnings", ()))
    notes += [f"{text} ({count} of {len(runs)} runs)" for text, count in sorted(warnings.items())]
    return notes


def differences_of(differences: pd.DataFrame, entry: Entry) -> Any | None:
    """The row of an arm in the table of differences, or None when it has no paired test."""
    rows = differences[(differences["experiment"] == entry.experiment) & (differences["arm"] == entry.arm)]
    return next(rows.itertuples(), None)
