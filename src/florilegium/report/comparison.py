"""The comparison of a study: what was published, what we measured, and how far the two agree."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from florilegium.core.metrics import CLOCKED, DIVERGENCE, EPOCHS, GAIN
from florilegium.core.published import Published
from florilegium.report.measures import BLANK, Interval, counted, summary
from florilegium.report.runs import Run, compare_arms, epochs_to_90_percent, finite
from florilegium.report.study import Entry, Key, Study
from florilegium.report.verdicts import Images, judge

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
    "differs",
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
OWN_SPLIT = "project's own"
NOTE_SEPARATOR = " | "
COUNTS = {"n_seeds": "Int64", "n_test": "Int64"}  # integers that may be absent


def compare(
    study: Study, runs: Mapping[Key, Sequence[Run]], images: Images
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables: `COLUMNS`, the contract of `comparison.csv`, and the paired differences behind its p-values.

    Args:
        study: the study's description.
        runs: the finished runs of each arm, see `report.runs.read_study`.
        images: `images.json` of the study's data sets, by data set.

    Raises:
        UserError: a published figure names a metric that the runs do not have.
    """
    differences = pd.DataFrame(_differences(study, runs), columns=list(DIFFERENCE_COLUMNS))
    rows = [
        row
        for entry in study.entries
        for row in _rows(study, entry, runs[entry.key], differences_of(differences, entry), images)
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
    study: Study, entry: Entry, runs: Sequence[Run], difference: Any | None, images: Images
) -> Iterator[dict[str, Any]]:
    notes = _notes(study, entry, runs, str(images.get(entry.dataset, {}).get("split_origin", "")))
    for metric, published in _wanted(entry, runs):
        used = counted(metric, runs)
        mean, low, high = _gain(difference) if metric == GAIN else summary(metric, runs)
        tested = metric in (entry.scoring.main, GAIN) and difference is not None
        found = judge(study, entry, metric, published, runs, (mean, low, high), images)
        parts = [
            *notes,
            _hardware(runs) if metric in CLOCKED else "",
            published.note if published else "",
            *found.notes,
        ]
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
            "n_test": used[0].metrics.get("n_test", pd.NA) if used else pd.NA,
            "baseline": "/".join(entry.baseline_key) if tested and entry.baseline_key else "",
            "p_value": difference.p_value if tested and difference else BLANK,
            "verdict": found.verdict,
            "differs": found.differs,
            "note": NOTE_SEPARATOR.join(dict.fromkeys(part for part in parts if part)),
        }


def _gain(difference: Any | None) -> Interval:
    """Of an arm over its baseline; nothing where the two could not be compared."""
    if difference is None:
        return BLANK, BLANK, BLANK
    return difference.difference, difference.ci_low, difference.ci_high


def _wanted(entry: Entry, runs: Sequence[Run]) -> Iterator[tuple[str, Published | None]]:
    """What is always told of the task, every published figure, how often it diverged if it did, and the speed of
    convergence where it was validated."""
    published_metrics = {published.metric for published in entry.published}
    shown = entry.scoring.shown
    for metric in shown:
        if metric not in published_metrics:
            yield metric, None
        yield from ((metric, published) for published in entry.published if published.metric == metric)
    for published in entry.published:
        if published.metric not in shown:
            yield published.metric, published
    if DIVERGENCE not in published_metrics and any(run.diverged for run in runs):
        yield DIVERGENCE, None
    if EPOCHS not in published_metrics and any(epochs_to_90_percent(run) is not None for run in finite(runs)):
        yield EPOCHS, None


def _hardware(runs: Sequence[Run]) -> str:
    """What a clock or a device decided is held against no figure from other hardware."""
    machines = sorted({f"{cost['device']} in {cost['precision']}" for run in runs for cost in [run.cost()]})
    return f"decided by the hardware (here {', '.join(machines)}), so it is not judged" if machines else ""


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
