"""The comparison of a study: what was published, what we measured, and how far the two agree."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from florilegium.core.metrics import BETWEEN, BY_HARDWARE, DIVERGENCE, EPOCHS, FRACTIONS, GAIN
from florilegium.core.published import Published
from florilegium.report.measures import BLANK, NOWHERE, Interval, counted, factor, summary
from florilegium.report.runs import Run, compare_arms, epochs_to_90_percent, finite
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
WIDEST = 0.10  # an interval of a fraction that is wider than this decides nothing by overlapping
OWN_SPLIT = "project's own"
NOTE_SEPARATOR = " | "
COUNTS = {"n_seeds": "Int64", "n_test": "Int64"}  # integers that may be absent


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
    rows = [
        row
        for entry in study.entries
        for row in _rows(study, entry, runs, differences, splits.get(entry.dataset, ""))
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
        for other in entry.compared_with:
            found = compare_arms(runs[entry.key], runs[other]) if study.find(other) else None
            if found:
                d, n_seeds, n_images = found
                name = "/".join(other)
                yield *entry.key, name, d.mean, d.low, d.high, d.p_value, n_seeds, n_images, d.method


def _rows(
    study: Study, entry: Entry, runs: Mapping[Key, Sequence[Run]], differences: pd.DataFrame, split: str
) -> Iterator[dict[str, Any]]:
    own = runs[entry.key]
    notes = _notes(study, entry, own, split)
    for metric, published in _wanted(entry, own):
        used = counted(metric, own)
        over = entry.over(published) if published else entry.baseline_key
        difference = differences_of(differences, entry, over)
        tested = metric in (entry.scoring.main, GAIN) and difference is not None
        others = runs.get(over, ()) if over else ()
        (mean, low, high), n_seeds = _measured(metric, own, others, difference)
        parts = [*notes, _hardware(own) if metric in BY_HARDWARE else "", published.note if published else ""]
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
            "n_seeds": n_seeds,
            "n_test": used[0].metrics.get("n_test", pd.NA) if used else pd.NA,
            "baseline": "/".join(over) if over and (tested or metric in BETWEEN) else "",
            "p_value": difference.p_value if tested and difference else BLANK,
            "verdict": verdict(study, metric, published, own, (mean, low, high)),
            "note": NOTE_SEPARATOR.join(dict.fromkeys(part for part in parts if part)),
        }


def _measured(
    metric: str, own: Sequence[Run], others: Sequence[Run], difference: Any | None
) -> tuple[Interval, int]:
    """A metric of an arm, or of it over another, and of how many seeds; nothing where two could not be compared."""
    if metric == GAIN:
        if difference is None:
            return NOWHERE, 0
        return (difference.difference, difference.ci_low, difference.ci_high), int(difference.n_seeds)
    if metric in BETWEEN:
        return factor(metric, own, others)
    return summary(metric, own), len(counted(metric, own))


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


def verdict(
    study: Study, metric: str, published: Published | None, runs: Sequence[Run], interval: Interval
) -> str:
    """One word on a row.

    `not_run`, `diverged` (every run did); `not_comparable` where the preset's data are not the
    study's, where nothing was published, or where the hardware decides (times, memory); `higher` and
    `lower` when our interval lies wholly outside the published range; `inconclusive` when there is no
    interval, when it overlaps that range but is wider than 10 points of a fraction, or when of two arms
    together (a gain, a factor) it does not lie wholly inside: a claim such as "better" is a range without an
    end, which nearly every interval overlaps; else `reproduced`.
    """
    _, low, high = interval
    if not runs:
        return "not_run"
    if not counted(metric, runs):
        return "diverged"
    if not study.comparable or published is None or metric in BY_HARDWARE:
        return "not_comparable"
    if math.isnan(low):
        return "inconclusive"
    if low > published.high:
        return "higher"
    if high < published.low:
        return "lower"
    if metric in BETWEEN:
        return "reproduced" if published.low <= low and high <= published.high else "inconclusive"
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


def differences_of(differences: pd.DataFrame, entry: Entry, other: Key | None = None) -> Any | None:
    """The row of an arm against another, its baseline unless told, in the table of differences; None when the two
    have no paired test."""
    over = other or entry.baseline_key
    rows = differences[
        (differences["experiment"] == entry.experiment)
        & (differences["arm"] == entry.arm)
        & (differences["baseline"] == "/".join(over or ()))
    ]
    return next(rows.itertuples(), None)
