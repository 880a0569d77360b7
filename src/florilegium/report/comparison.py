"""The tables of one study, from its runs: published and measured values side by side, and paired differences."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from florilegium.config.metrics import CLOCKED, DIVERGENCE, EPOCHS, Published
from florilegium.report.arms import Arms
from florilegium.report.claims import SIGNIFICANT, judge_claims, measure, own_tests
from florilegium.report.runs import BLANK, Run, counted, epochs_to_90_percent, finite
from florilegium.report.scores import costs, scores
from florilegium.report.statistics import holm
from florilegium.report.study import Entry, Key, Study
from florilegium.report.tables import NOTE_SEPARATOR, read_csv, write_csv
from florilegium.report.verdicts import Images, judge

COLUMNS = [
    "experiment", "arm", "metric", "published_low", "published_high", "published_source",
    "mean", "ci_low", "ci_high", "n_seeds", "n_test",
    "baseline", "p_value", "p_adjusted", "detectable", "verdict", "differs", "note",
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "experiment", "arm", "baseline", "mean", "baseline_mean", "difference", "ci_low", "ci_high",
    "p_value", "p_adjusted", "detectable", "n_seeds", "n_seeds_needed", "n_test", "method",
]  # fmt: skip
TESTED = ("p_value", "p_adjusted", "detectable")  # that a row has from its paired test
Audits = Sequence[Mapping[str, Any]]  # contents of summary.json
IN_WORDS = {"val": "validation"}
OWN_SPLIT = "project's own"


@dataclass(frozen=True)
class StudyTables:
    """The tables of a study: from `judge_claims`, `compare`, `costs` and `scores`, and of generated images, if any."""

    claims: pd.DataFrame
    comparison: pd.DataFrame
    differences: pd.DataFrame
    costs: pd.DataFrame
    scores: pd.DataFrame
    generated: pd.DataFrame | None = None

    @classmethod
    def read(cls, folder: Path, study: Study) -> "StudyTables":
        """The tables as stages wrote them into a study's `folder`."""
        names = [field.name for field in fields(cls) if field.name != "generated" or study.makes_images()]
        return cls(**{name: read_csv(folder / f"{name}.csv") for name in names})

    def by_file(self) -> dict[str, pd.DataFrame]:
        """The tables by the name of their file in a study's folder."""
        tables = {f"{field.name}.csv": getattr(self, field.name) for field in fields(self)}
        return {name: table for name, table in tables.items() if table is not None}

    def write(self, folder: Path) -> list[Path]:
        """Write the tables as CSV into a study's `folder`; returns the files."""
        for name, table in self.by_file().items():
            write_csv(table, folder / name)
        return [folder / name for name in self.by_file()]


def tabulate(study: Study, runs: Mapping[Key, Sequence[Run]], images: Images, audits: Audits = ()) -> StudyTables:
    """All tables but that of generated images, from the finished runs of each arm; `images` and `audits` as in
    `compare`."""
    arms = Arms(runs)
    measured = measure(study, arms, images)
    comparison, differences = compare(study, arms, images, audits, own_tests(measured))
    claims = judge_claims(study, arms, measured, differences, images)
    return StudyTables(claims, comparison, differences, costs(study, runs), scores(study, arms))


def compare(
    study: Study, arms: Arms, images: Images, audits: Audits = (), others: Sequence[float] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of `comparison.csv` (`COLUMNS`), and the table of paired differences that its p-values come from.

    Means of the first are over all seeds of an arm, those of the second over the seeds that both have. p-values are
    adjusted for all tests of the study, those of its claims among them (`others`). `images` holds `images.json` of the
    study's data sets, by data set; `audits` are the summaries of its audits.

    Raises:
        UserError: a published value is of a metric that the runs do not have, or the seeds of an arm were tested on
            different images.
    """
    differences = pd.DataFrame(_differences(study, arms), columns=DIFFERENCE_COLUMNS)
    differences["p_adjusted"] = holm([*differences["p_value"], *others])[: len(differences)]
    rows = [row for entry in study.entries for row in _rows(study, entry, arms, differences, images, audits)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n_seeds": "Int64", "n_test": "Int64"}), differences


def _differences(study: Study, arms: Arms) -> Iterator[tuple[Any, ...]]:
    """Rows under `DIFFERENCE_COLUMNS`, p not yet adjusted."""
    for entry in study.entries:
        other = entry.baseline_key
        paired = arms.paired(entry.key, other) if other and study.find(other) else None
        if other and paired:
            d = paired.difference
            means = (paired.mean, paired.other_mean, d.mean, d.low, d.high)
            counts = (paired.n_seeds, d.seeds_needed(0.0), paired.n_test, d.method)
            yield *entry.key, "/".join(other), *means, d.p_value, d.p_value, d.detectable, *counts


def _rows(
    study: Study, entry: Entry, arms: Arms, differences: pd.DataFrame, images: Images, audits: Audits
) -> Iterator[dict[str, Any]]:
    """The rows of one arm, by column."""
    own = arms.runs[entry.key]
    notes = _notes(study, entry, own, str(images.get(entry.dataset, {}).get("split_origin", "")))
    baseline, difference = entry.baseline_key, difference_row(differences, entry)
    for metric, published in _wanted(entry, own):
        used, is_main = counted(metric, own), metric == entry.scoring.main
        tested = is_main and difference is not None
        mean, low, high = arms.summary(metric, entry.key)
        judgement = judge(study, entry, metric, published, own, (mean, low, high), images)
        parts = [
            *notes,
            *(shown(entry, audits) if is_main else ()),
            arms.untested(entry.key, baseline) if baseline and is_main and not tested else "",
            _hardware(own) if metric in CLOCKED else "",
            published.note if published else "",
            *judgement.notes,
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
            "baseline": "/".join(baseline) if baseline and tested else "",
            **{column: getattr(difference, column) if tested else BLANK for column in TESTED},
            "verdict": judgement.verdict,
            "differs": judgement.differs,
            "note": NOTE_SEPARATOR.join(dict.fromkeys(part for part in parts if part)),
        }


def _wanted(entry: Entry, runs: Sequence[Run]) -> Iterator[tuple[str, Published | None]]:
    """The metrics of an arm's rows, each with its published value if there is one: those of its task, all that were
    published, the rate of divergence if a run diverged, and the speed of convergence where it was validated."""
    by_metric: dict[str, list[Published | None]] = {}
    for published in entry.published:
        by_metric.setdefault(published.metric, []).append(published)
    always = entry.scoring.shown
    for metric in always:
        yield from ((metric, published) for published in by_metric.get(metric, [None]))
    yield from ((published.metric, published) for published in entry.published if published.metric not in always)
    if DIVERGENCE not in by_metric and any(run.diverged for run in runs):
        yield DIVERGENCE, None
    if EPOCHS not in by_metric and any(epochs_to_90_percent(run) is not None for run in finite(runs)):
        yield EPOCHS, None


def _hardware(runs: Sequence[Run]) -> str:
    """A note on times and memory: they are not compared with values from other hardware."""
    machines = sorted({"{device} in {precision}".format(**run.cost()) for run in runs})
    return f"decided by the hardware (here {', '.join(machines)}), so it is not judged" if machines else ""


def _notes(study: Study, entry: Entry, runs: Sequence[Run], split: str) -> list[str]:
    """The notes that all rows of an arm share."""
    notes = [entry.note, study.preset_note]
    if OWN_SPLIT in split:
        notes.append(f"splits: {split}")
    if 0 < len(runs) < len(entry.seeds):
        notes.append(f"{len(runs)} of {len(entry.seeds)} seeds were run")
    diverged = [str(run.seed) for run in runs if run.diverged]
    if diverged:
        seeds = f"(seed {', '.join(diverged)})"
        notes.append(f"{len(diverged)} of {len(runs)} runs diverged {seeds} and are left out of the mean")
    warnings = Counter(text for run in runs for text in run.receipt().get("warnings", ()))
    notes += [f"{text} ({count} of {len(runs)} runs)" for text, count in sorted(warnings.items())]
    return notes


def shown(entry: Entry, audits: Audits) -> list[str]:
    """How many pictures of its test and validation splits the data sets that an arm learns from still show, a sentence
    each; none of audits that did not count them."""
    sentences = []
    for audit in audits:
        by = entry.cleaned.get(audit["a"])
        if by and audit["b"] == entry.dataset and "n_left" in audit:
            counts = [f"{n:,} {IN_WORDS.get(split, split)}" for split, n in sorted(audit["n_left"][by].items())]
            cleaned = {"nothing": "not cleaned", "hash": "cleaned by hash", "all": "cleaned of all copies"}[by]
            sentences.append(f"{audit['a']}, {cleaned}, shows {' and '.join(counts)} pictures of {audit['b']}.")
    return sentences


def difference_row(differences: pd.DataFrame, entry: Entry) -> Any | None:
    """The row of an arm against its baseline in the table of differences, or None."""
    rows = differences[(differences["experiment"] == entry.experiment) & (differences["arm"] == entry.arm)]
    return next(rows.itertuples(), None)


def is_significant(row: Any) -> bool:
    """True if a row of the table of differences is significant among all tests of its study."""
    return bool(row.p_adjusted < SIGNIFICANT)
